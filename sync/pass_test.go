package sync_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"askara-sync/askara"
	"askara-sync/askara/sandbox"
	"askara-sync/sync"
)

func TestRequestsOfAPassAndOfAnIdleOne(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t, sandbox.Config{})
		g.server.AddHistory(250, time.Now().Add(-30*24*time.Hour), time.Now().Add(-time.Hour), sandbox.Document{Size: 2048})
		p := g.must(t)
		g.once(t)
		if p.Delivered != 250 || p.Confirmed != 250 || p.Requests > 2*250+4 {
			t.Errorf("got %d delivered and %d confirmed in %d requests, want 250 in 500 and at most 4 lists", p.Delivered, p.Confirmed, p.Requests)
		}
		s := g.server.Stats()
		if s.Requests[sandbox.KindPDF] != 250 || s.Requests[sandbox.KindConfirm] != 250 {
			t.Errorf("got %d downloads and %d confirmations, want 250 each", s.Requests[sandbox.KindPDF], s.Requests[sandbox.KindConfirm])
		}
		if p = g.must(t); p.Requests > 2 || p.Delivered != 0 {
			t.Errorf("a second pass took %d requests and delivered %d", p.Requests, p.Delivered)
		}
		time.Sleep(5 * time.Minute)
		if p = g.must(t); p.Requests > 2 {
			t.Errorf("a pass after 5 minutes took %d requests", p.Requests)
		}
		time.Sleep(time.Hour)
		g.must(t)
		time.Sleep(time.Hour)
		if p = g.must(t); p.Requests != 1 {
			t.Errorf("an idle pass took %d requests, want 1", p.Requests)
		}
		if got := g.server.Stats().Requests[sandbox.KindPDF]; got != 250 {
			t.Errorf("our own confirmations cost %d downloads", got-250)
		}
	})
}

func TestDocumentsThatShareOneInstantWhileOthersAppear(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var g *rig
		g = newRig(t, sandbox.Config{OnList: func(n int) {
			if n < 12 {
				g.server.AddDocument(sandbox.Document{Size: 2048}) // shares no instant with the 350
			}
		}})
		g.server.Add(350, sandbox.Document{UpdatedAt: time.Now().Add(-time.Hour), Size: 2048})
		g.must(t)
		g.must(t)
		g.once(t)
	})
}

// TestRowsThatLeaveASharedInstant moves documents away from the pages that are still to be turned, so that others move up into
// pages that were read already.
func TestRowsThatLeaveASharedInstant(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var g *rig
		var uuids []string
		g = newRig(t, sandbox.Config{OnList: func(n int) {
			if n >= 2 && n <= 4 {
				for _, u := range uuids[(n-2)*20 : (n-1)*20] {
					g.server.Touch(u)
				}
			}
		}})
		uuids = g.server.Add(350, sandbox.Document{UpdatedAt: time.Now().Add(-24 * time.Hour), Size: 2048})
		g.must(t)
		g.once(t)
	})
}

func TestServersThatIgnoreOrderOrBound(t *testing.T) {
	dialects := map[string]sandbox.Dialect{
		"order":        {IgnoreOrder: true},
		"bound":        {IgnoreBounds: true},
		"both":         {IgnoreOrder: true, IgnoreBounds: true},
		"descending":   {Descending: true},
		"all of it":    {Descending: true, IgnoreBounds: true},
		"30 a page":    {MaxItems: 30},
		"10 a page":    {MaxItems: 10, DefaultItems: 10},
		"repeats":      {Repeats: 3},
		"garbage":      {GarbageItems: true},
		"no dates":     {NoDates: true},
		"no status":    {NoStatus: true},
		"hydra":        {Shape: sandbox.ShapeHydra},
		"JSON-LD":      {Shape: sandbox.ShapeJSONLD, Insists: true},
		"IRI":          {Patient: sandbox.PatientIRI},
		"no patient":   {Patient: sandbox.PatientAbsent},
		"Z":            {Dates: sandbox.DatesZulu},
		"fractions":    {Dates: sandbox.DatesMicros},
		"milliseconds": {Dates: sandbox.DatesMillis},
		"Paris":        {Dates: sandbox.DatesParis},
		"bad dates":    {Dates: sandbox.DatesGarbage},
		"nulls":        {Nulls: true, UnknownKeys: true},
		"redirect":     {PDF: sandbox.PDFRedirect},
		"link":         {PDF: sandbox.PDFLink},
		"base64":       {PDF: sandbox.PDFBase64},
		"204":          {ConfirmAnswer: sandbox.ConfirmEmpty},
	}
	for name, d := range dialects {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				g := newRig(t, sandbox.Config{Contract: d})
				g.server.AddHistory(110, time.Now().Add(-30*24*time.Hour), time.Now().Add(-time.Hour), sandbox.Document{Size: 2048})
				g.must(t)
				g.once(t)
				for range 3 {
					time.Sleep(20 * time.Minute)
					g.server.AddDocument(sandbox.Document{Size: 2048})
					g.must(t)
					g.once(t)
				}
				if got, want := g.server.Stats().Requests[sandbox.KindPDF], 113; got > want && name != "204" {
					t.Errorf("%d downloads of %d documents", got, want)
				}
			})
		})
	}
}

func TestOneBadDocumentHoldsUpNoOther(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t, sandbox.Config{})
		old := time.Now().Add(-time.Hour)
		bad := map[string]string{}
		for name, mode := range map[string]sandbox.PDFMode{
			"html": sandbox.PDFHTML, "empty": sandbox.PDFEmpty, "truncated": sandbox.PDFTruncated, "magic": sandbox.PDFWrongMagic,
			"endless": sandbox.PDFEndless,
		} {
			bad[g.server.AddDocument(sandbox.Document{UpdatedAt: old, PDF: mode, Size: 2048})] = name
		}
		bad[g.server.AddDocument(sandbox.Document{UpdatedAt: old, PDFStatus: 403, Size: 2048})] = "forbidden"
		bad[g.server.AddDocument(sandbox.Document{UpdatedAt: old, PDFStatus: 500, Size: 2048})] = "broken"
		g.server.Add(40, sandbox.Document{UpdatedAt: old.Add(time.Minute), Size: 2048})

		p, err := g.pass(t)
		if _, ok := errors.AsType[*sync.UnfinishedError](err); !ok {
			t.Fatalf("got %v, want an unfinished pass", err)
		}
		if p.Delivered != 40 || p.Failed != len(bad) {
			t.Errorf("got %d delivered and %d failed, want 40 and %d", p.Delivered, p.Failed, len(bad))
		}
		if _, err = g.pass(t); err != nil {
			t.Errorf("a pass right after: %v; want the bad ones to wait", err)
		}
		for range 60 {
			time.Sleep(6 * time.Hour)
			g.pass(t)
		}
		parked, err := g.store.Parked(t.Context(), "default")
		if err != nil {
			t.Fatal(err)
		}
		if len(parked) != len(bad) {
			t.Errorf("%d documents are parked, want %d", len(parked), len(bad))
		}
		for _, d := range parked {
			rec, _ := g.server.Document(d.UUID)
			if len(rec.Confirms) != 1 || !rec.Confirms[0].Failed || rec.Confirms[0].Reason == "" {
				t.Errorf("%s: Askara was told %+v, want one failure with a reason", bad[d.UUID], rec.Confirms)
			}
			if len(rec.Confirms) == 1 && strings.Contains(rec.Confirms[0].Reason, rec.Patient.LastName) {
				t.Errorf("%s: the reason holds a patient's name: %q", bad[d.UUID], rec.Confirms[0].Reason)
			}
		}
	})
}

func TestAnOutageParksNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t, sandbox.Config{})
		g.server.Add(30, sandbox.Document{UpdatedAt: time.Now().Add(-time.Hour), Size: 2048})
		g.server.SetFaults(sandbox.Faults{Rate: 1, Kinds: []sandbox.Fault{sandbox.ErrorBefore, sandbox.DropBefore}, Only: []sandbox.Kind{sandbox.KindPDF}})
		for range 40 {
			if _, err := g.pass(t); err == nil {
				t.Fatal("a pass during an outage succeeded")
			}
			time.Sleep(time.Hour)
		}
		g.server.SetFaults(sandbox.Faults{})
		time.Sleep(7 * time.Hour)
		g.must(t)
		g.once(t)
	})
}

func TestRevisions(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t, sandbox.Config{})
		uuid := g.server.AddDocument(sandbox.Document{Size: 2048})
		g.must(t)
		time.Sleep(time.Minute)
		g.server.Touch(uuid)
		g.must(t)
		if got := len(g.files(t)); got != 1 {
			t.Fatalf("a touched document made %d files", got)
		}
		time.Sleep(time.Minute)
		g.server.Revalidate(uuid, false)
		g.must(t)
		if got := len(g.files(t)); got != 1 {
			t.Fatalf("a document that was validated again with the same bytes made %d files", got)
		}
		time.Sleep(time.Minute)
		g.server.Revalidate(uuid, true)
		g.must(t)
		names := g.files(t)
		if len(names) != 2 {
			t.Fatalf("a new revision made %d files", len(names))
		}
		if !strings.Contains(strings.Join(names, "\n"), "_r2.pdf") {
			t.Errorf("no revision in %q", names)
		}
		g.must(t)
		if got := len(g.files(t)); got != 2 {
			t.Errorf("got %d files after an idle pass", got)
		}
	})
}

func TestAStopFinishesWhatWasBegunAndBeginsNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t, sandbox.Config{})
		g.server.Add(40, sandbox.Document{UpdatedAt: time.Now().Add(-time.Hour), Size: 2048})
		hold := g.server.Hold(sandbox.KindPDF, 3, sandbox.After)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() {
			_, err := sync.New(g.config).Run(ctx, sync.Request{})
			done <- err
		}()
		<-hold.Arrived()
		cancel()
		synctest.Wait()
		before := g.server.Stats().Requests[sandbox.KindPDF]
		hold.Release()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
		if got := g.server.Stats().Requests[sandbox.KindPDF]; got != before {
			t.Errorf("%d downloads were begun after the stop", got-before)
		}
		g.must(t)
		g.once(t)
	})
}

func TestAFolderThatIsGoneStopsThePassAndLosesNothing(t *testing.T) {
	g := newRig(t, sandbox.Config{})
	g.server.Add(5, sandbox.Document{UpdatedAt: time.Now().Add(-time.Hour), Size: 2048})
	g.must(t)
	away := g.inbox + "-away"
	if err := os.Rename(g.inbox, away); err != nil {
		t.Fatal(err)
	}
	g.server.Add(5, sandbox.Document{Size: 2048})
	if _, err := g.pass(t); askara.FaultOf(err) != askara.FaultDestination {
		t.Fatalf("got %v, want a fault of the destination", err)
	}
	if _, err := os.Stat(filepath.Join(g.inbox)); err == nil {
		t.Error("a folder that was gone has been made again")
	}
	if err := os.Rename(away, g.inbox); err != nil {
		t.Fatal(err)
	}
	g.must(t)
	g.once(t)
}

func TestBackfillOfARange(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t, sandbox.Config{})
		now := time.Now()
		g.server.AddHistory(100, now.Add(-100*24*time.Hour), now.Add(-24*time.Hour), sandbox.Document{Size: 2048})
		// The first pass of all begins where it is told to.
		p, err := sync.New(g.config).Run(t.Context(), sync.Request{Since: now.Add(-10 * 24 * time.Hour), Manual: true})
		if err != nil {
			t.Fatal(err)
		}
		if p.Delivered < 8 || p.Delivered > 12 {
			t.Errorf("the first pass delivered %d, want those of ten days", p.Delivered)
		}
		if p = g.must(t); p.Delivered != 0 {
			t.Errorf("a regular pass after it delivered %d older ones", p.Delivered)
		}
		p, err = sync.New(g.config).Run(t.Context(), sync.Request{Since: now.Add(-50 * 24 * time.Hour), Until: now.Add(-20 * 24 * time.Hour)})
		if err != nil {
			t.Fatal(err)
		}
		if p.Delivered < 28 || p.Delivered > 32 {
			t.Errorf("the backfill delivered %d, want those of thirty days", p.Delivered)
		}
		if _, err = sync.New(g.config).Run(t.Context(), sync.Request{Since: now.Add(-200 * 24 * time.Hour)}); err != nil {
			t.Fatal(err)
		}
		g.once(t)
	})
}

func TestFreshDocumentsOvertakeABackfill(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var g *rig
		var fresh string
		order := []string{}
		g = newRig(t, sandbox.Config{OnDownload: func(uuid string) {
			order = append(order, uuid)
			time.Sleep(4 * time.Second) // so that the backfill takes minutes
			if len(order) == 60 {
				fresh = g.server.AddDocument(sandbox.Document{Size: 2048})
			}
		}})
		g.config.Workers = 1
		now := time.Now()
		g.server.AddHistory(400, now.Add(-100*24*time.Hour), now.Add(-48*time.Hour), sandbox.Document{Size: 2048})
		if _, err := sync.New(g.config).Run(t.Context(), sync.Request{Poll: time.Minute}); err != nil {
			t.Fatal(err)
		}
		g.once(t)
		at := 0
		for i, uuid := range order {
			if uuid == fresh {
				at = i
			}
		}
		// A poll a minute is 15 downloads, and at most a batch is under way.
		if at == 0 || at > 60+15+70+5 {
			t.Errorf("the fresh document was number %d of %d, and had appeared at 60", at, len(order))
		}
	})
}

func TestAPreviewChangesNothing(t *testing.T) {
	g := newRig(t, sandbox.Config{})
	g.server.Add(120, sandbox.Document{UpdatedAt: time.Now().Add(-time.Hour), Size: 2048})
	shown := 0
	p, err := sync.New(g.config).Preview(t.Context(), sync.Request{}, g.store, func(askara.Document) { shown++ })
	if err != nil || shown != 120 || p.Requests == 0 {
		t.Errorf("got %d documents in %d requests, %v; want 120", shown, p.Requests, err)
	}
	if n := g.server.Stats().Requests[sandbox.KindPDF]; n != 0 || len(g.files(t)) != 0 {
		t.Error("the preview downloaded or delivered something")
	}
	if cur, err := g.store.Cursor(t.Context(), "default"); err != nil || !cur.At.IsZero() {
		t.Errorf("the preview moved the cursor to %v, %v", cur.At, err)
	}
	if p := g.must(t); p.Delivered != 120 {
		t.Errorf("the pass after it delivered %d", p.Delivered)
	}
}

func TestAnAbsurdDateHidesNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t, sandbox.Config{})
		g.server.AddDocument(sandbox.Document{UpdatedAt: time.Now().AddDate(70, 0, 0), Size: 2048})
		g.must(t)
		for range 3 {
			time.Sleep(time.Hour)
			g.server.AddDocument(sandbox.Document{Size: 2048})
			g.must(t)
		}
		g.once(t)
	})
}
