package sink_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"askara-sync/askara"
	"askara-sync/sink"

	"github.com/google/go-cmp/cmp"
)

// scene is what a crash test may touch: one staged document, its folder and its staging directory.
type scene struct {
	c      sink.FolderConfig
	tray   string // the account's directory in staging
	d      askara.Delivery
	staged string // the staged file
	final  string // the document under its final name
}

func (p scene) must(errs ...error) {
	if err := errors.Join(errs...); err != nil {
		panic(err)
	}
}

// TestFaultAtStepN is the table of what a crash can leave and what the next run makes of it: the state is brought about by hand, a
// new process's Folder settles it, and delivers it if it is to be delivered.
func TestFaultAtStepN(t *testing.T) {
	const (
		delivered = askara.SettledDelivered
		staged    = askara.SettledStaged
		lost      = askara.SettledLost
	)
	take := func(p scene) { p.must(os.Remove(p.final)) }
	move := func(p scene) { p.must(os.Rename(p.staged, p.final)) }
	link := func(p scene) { p.must(os.Link(p.staged, p.final)) }
	arm := func(p scene) { p.must(sink.Arm(context.Background(), p.tray, p.d.Receipt.Staged)) }
	old := func(p scene) { p.must(os.Chtimes(p.staged, time.Unix(1e9, 0), time.Unix(1e9, 0))) }
	tests := []struct {
		name  string
		crash func(p scene)
		want  askara.Settlement
		// inFolder says that the document is in the folder in the end; an importer that took it has it.
		inFolder bool
	}{
		{"before the move", func(p scene) {}, staged, true},
		{"after the move", move, delivered, true},
		{"after the move, taken at once", func(p scene) { move(p); take(p) }, delivered, false},
		{"after the move, renamed by the importer", func(p scene) { move(p); p.must(os.Rename(p.final, p.final+".done")) }, delivered, false},
		{"after the move, overwritten by the importer", func(p scene) { move(p); p.must(os.WriteFile(p.final, []byte("x"), 0o600)) }, delivered, false},

		{"between link and unlink", link, delivered, true},
		{"between link and unlink, renamed", func(p scene) { link(p); p.must(os.Rename(p.final, p.final+".done")) }, delivered, false},
		{"arming begun", old, staged, true},
		{"half armed", func(p scene) { old(p); p.must(os.Rename(p.staged, p.staged+sink.ArmedSuffix)) }, staged, true},
		{"armed, not linked", arm, staged, true},
		{"armed, linked, taken", func(p scene) { arm(p); p.must(os.Link(p.staged+sink.ArmedSuffix, p.final)); take(p) }, delivered, false},
		{"armed and linked", func(p scene) { arm(p); p.must(os.Link(p.staged+sink.ArmedSuffix, p.final)) }, delivered, true},

		{"staging emptied", func(p scene) { p.must(os.Remove(p.staged), os.Remove(filepath.Join(p.tray, "identity.json"))) }, lost, true},
		{"account's staging removed", func(p scene) { p.must(os.RemoveAll(p.tray)) }, lost, true},
		{"all staging removed", func(p scene) { p.must(os.RemoveAll(filepath.Dir(p.tray))) }, lost, true},
		{"all staging removed after the move", func(p scene) { move(p); p.must(os.RemoveAll(filepath.Dir(p.tray))) }, delivered, true},
		{"all staging removed, found under a counted name", func(p scene) {
			p.must(os.Rename(p.staged, strings.TrimSuffix(p.final, ".pdf")+" (2).pdf"), os.RemoveAll(filepath.Dir(p.tray)))
		}, delivered, false},
		{"all staging removed, other bytes under the name", func(p scene) {
			p.must(os.WriteFile(p.final, []byte("%PDF-foreign"), 0o600), os.RemoveAll(filepath.Dir(p.tray)))
		}, lost, false},
		{"marker unreadable", func(p scene) {
			p.must(os.Remove(p.staged), os.WriteFile(filepath.Join(p.tray, "identity.json"), []byte("{"), 0o600))
		}, lost, true},
		{"staging restored from a copy", func(p scene) {
			p.must(os.Rename(p.tray, p.tray+"x"), os.CopyFS(p.tray, os.DirFS(p.tray+"x")), os.Remove(p.staged))
		}, lost, true},

		{"staged file damaged", func(p scene) { p.must(os.WriteFile(p.staged, pdf(2), 0o600)) }, lost, true},
		{"staged file cut", func(p scene) { p.must(os.Truncate(p.staged, 10)) }, lost, true},
		{"staged file is a directory", func(p scene) { p.must(os.Remove(p.staged), os.Mkdir(p.staged, 0o700)) }, lost, true},
	}
	for _, tt := range tests {
		everyWay(t, func(t *testing.T, way string) {
			t.Run(tt.name, func(t *testing.T) {
				t.Parallel()
				c := config(t)
				f := openWay(t, c, way)
				d := deliveryOf(1)
				stage(t, f, &d, pdf(1))
				if err := f.Flush(t.Context(), []askara.Delivery{d}); err != nil {
					t.Fatal(err)
				}
				tray := filepath.Join(sink.StagingOf(f), sink.TrayOf("default"))
				tt.crash(scene{c, tray, d, filepath.Join(tray, d.Receipt.Staged), filepath.Join(c.Path, d.Receipt.Name)})

				f = openWay(t, c, way)
				got, err := f.Settle(t.Context(), &d)
				if err != nil || got != tt.want {
					t.Fatalf("settled as %v, %v, want %v", got, err, tt.want)
				}
				if got == lost {
					if tt.name == "staged file is a directory" {
						_ = os.Remove(filepath.Join(tray, d.Receipt.Staged))
					}
					stage(t, f, &d, pdf(1))
				}
				if got != delivered {
					batch := []askara.Delivery{d}
					deliver(t, f, batch)
					d = batch[0]
				}
				if b, err := os.ReadFile(filepath.Join(c.Path, d.Receipt.Name)); tt.inFolder && (err != nil || !bytes.Equal(b, pdf(1))) {
					t.Errorf("it is not in the folder: %v", err)
				}
				if err := f.Sweep(t.Context(), "default", nil); err != nil {
					t.Fatal(err)
				}
				if left := leftIn(t, f); len(left) != 0 {
					t.Errorf("staging holds %q", left)
				}
				if again, err := f.Settle(t.Context(), &d); err != nil || got != lost && again != delivered {
					t.Errorf("settled again as %v, %v", again, err)
				}
			})
		})
	}
}

// leftIn lists the default account's files in staging.
func leftIn(t testing.TB, f *sink.Folder) []string { return staged(t, f, "default") }

// A document that is gone from staging counts as delivered only once the folder has been synced.
func TestSettlingSyncsTheFolder(t *testing.T) {
	everyWay(t, func(t *testing.T, way string) {
		for _, doubt := range []bool{false, true} {
			c := config(t)
			f := openWay(t, c, way)
			d := deliveryOf(1)
			stage(t, f, &d, pdf(1))
			deliver(t, f, []askara.Delivery{d})
			if doubt {
				if err := os.RemoveAll(sink.StagingOf(f)); err != nil {
					t.Fatal(err)
				}
			}
			f = openWay(t, c, way)
			if err := f.Sweep(t.Context(), "default", nil); err != nil { // the markers are written
				t.Fatal(err)
			}
			failSync(f, true, 0)
			got, err := f.Settle(t.Context(), &d)
			wantFault(t, err, askara.FaultDestination, "dmesg")
			sink.SetSync(f, (*os.File).Sync)
			if got, err = f.Settle(t.Context(), &d); err != nil || got != askara.SettledDelivered {
				t.Errorf("settled as %v, %v", got, err)
			}
		}
	})
}

func TestDoubtIsLogged(t *testing.T) {
	c := config(t)
	var logged strings.Builder
	c.Logger = slog.New(slog.NewTextHandler(&logged, &slog.HandlerOptions{Level: slog.LevelDebug}))
	f := open(t, c)
	d := deliveryOf(1)
	stage(t, f, &d, pdf(1))
	if err := os.RemoveAll(sink.StagingOf(f)); err != nil {
		t.Fatal(err)
	}
	f = open(t, c)
	if got, err := f.Settle(t.Context(), &d); err != nil || got != askara.SettledLost {
		t.Fatalf("settled as %v, %v", got, err)
	}
	if !strings.Contains(logged.String(), "level=WARN msg=\"document in doubt is delivered again\" document="+d.UUID) {
		t.Errorf("logged %q", logged.String())
	}
	if strings.Contains(logged.String(), "Martin") || strings.Contains(logged.String(), ".pdf") {
		t.Errorf("the log tells a name: %q", logged.String())
	}
}

// TestRemovedTrayIsAnother: an account's directory that is removed and made again, even with the same inode, is another one.
func TestRemovedTrayIsAnother(t *testing.T) {
	c := config(t)
	f := open(t, c)
	d := deliveryOf(1)
	stage(t, f, &d, pdf(1))
	if err := os.RemoveAll(filepath.Join(sink.StagingOf(f), sink.TrayOf("default"))); err != nil {
		t.Fatal(err)
	}
	e := deliveryOf(2)
	stage(t, f, &e, pdf(2)) // the same Folder goes on
	if got, err := f.Settle(t.Context(), &d); err != nil || got != askara.SettledLost {
		t.Errorf("settled as %v, %v, want lost", got, err)
	}
}

// A document in doubt that is there after all is not delivered beside itself.
func TestDocumentThatIsThereIsNotDoubled(t *testing.T) {
	everyWay(t, func(t *testing.T, way string) {
		for _, sidecar := range []string{"none", "json"} {
			c := config(t)
			c.Sidecar = sidecar
			f := openWay(t, c, way)
			d := deliveryOf(1)
			stage(t, f, &d, pdf(1))
			deliver(t, f, []askara.Delivery{d})
			again := deliveryOf(1) // the ledger was lost
			stage(t, f, &again, pdf(1))
			again.Receipt.Name = d.Receipt.Name
			before := list(t, c.Path)
			deliver(t, f, []askara.Delivery{again})
			if diff := cmp.Diff(before, list(t, c.Path)); diff != "" {
				t.Errorf("%s: %s", sidecar, diff)
			}
			if left := leftIn(t, f); len(left) != 0 {
				t.Errorf("staging holds %q", left)
			}
		}
	})
}

// TestSidecarAfterACrash: what an interrupted run placed already is found again and not doubled.
func TestSidecarAfterACrash(t *testing.T) {
	tests := []struct {
		name  string
		crash func(p scene, sidecar, final string)
		lost  bool // it is downloaded again
		want  func(stem string) []string
	}{
		{"placed, PDF still staged", func(p scene, sidecar, final string) { p.must(os.Rename(sidecar, final)) }, false, nil},
		{"placed, and downloaded again with other bytes", func(p scene, sidecar, final string) {
			p.must(os.Rename(sidecar, final), os.Remove(p.staged), os.Remove(filepath.Join(p.tray, "identity.json")))
		}, true, nil},
		{"taken by the importer, PDF still staged", func(p scene, sidecar, final string) { p.must(os.Remove(sidecar)) }, false,
			func(stem string) []string { return []string{stem + ".pdf"} }},
		{"placed beside another name", func(p scene, sidecar, final string) {
			p.must(os.Rename(sidecar, strings.TrimSuffix(final, ".json")+" (2).json"))
		}, false, func(stem string) []string { return []string{stem + " (2).json", stem + " (2).pdf"} }},
		{"PDF placed, sidecar still staged", func(p scene, sidecar, final string) { p.must(os.Rename(p.staged, p.final)) }, false, nil},
	}
	for _, tt := range tests {
		everyWay(t, func(t *testing.T, way string) {
			t.Run(tt.name, func(t *testing.T) {
				t.Parallel()
				c := config(t)
				c.Sidecar = "json"
				f := openWay(t, c, way)
				d := deliveryOf(1)
				stage(t, f, &d, pdf(1))
				tray := filepath.Join(sink.StagingOf(f), sink.TrayOf("default"))
				p := scene{c, tray, d, filepath.Join(tray, d.Receipt.Staged), filepath.Join(c.Path, d.Receipt.Name)}
				stem := strings.TrimSuffix(d.Receipt.Name, ".pdf")
				tt.crash(p, strings.TrimSuffix(p.staged, ".pdf")+".json", filepath.Join(c.Path, stem+".json"))

				f = openWay(t, c, way)
				got, err := f.Settle(t.Context(), &d)
				if err != nil || (got == askara.SettledLost) != tt.lost {
					t.Fatalf("settled as %v, %v", got, err)
				}
				wantBytes := pdf(1)
				if tt.lost {
					wantBytes = pdf(3)
					stage(t, f, &d, wantBytes)
				}
				batch := []askara.Delivery{d}
				if got != askara.SettledDelivered {
					deliver(t, f, batch)
				}
				want := []string{stem + ".json", stem + ".pdf"}
				if tt.want != nil {
					want = tt.want(stem)
				}
				if diff := cmp.Diff(want, list(t, c.Path)); diff != "" {
					t.Error(diff)
				}
				if !bytes.Equal(content(t, c, batch[0].Receipt.Name), wantBytes) {
					t.Error("the document has other bytes")
				}
				for known, err := range f.Known(t.Context()) {
					if err != nil {
						t.Fatal(err)
					}
					if slices.Contains(want, stem+".json") && known.UUID != d.UUID {
						t.Errorf("sidecar does not fit the document: %+v", known)
					}
				}
			})
		})
	}
}

func TestSweepKeepsWhatIsWanted(t *testing.T) {
	c := config(t)
	c.Sidecar = "json"
	f := open(t, c)
	var batch []askara.Delivery
	for i := range 3 {
		d := deliveryOf(i)
		stage(t, f, &d, pdf(i))
		batch = append(batch, d)
	}
	other := deliveryOf(9)
	other.Account = "other"
	stage(t, f, &other, pdf(9))
	tray := filepath.Join(sink.StagingOf(f), sink.TrayOf("default"))
	write(t, filepath.Join(tray, "rubbish"), nil)
	if err := sink.Arm(t.Context(), tray, batch[2].Receipt.Staged); err != nil {
		t.Fatal(err)
	}
	if err := f.Sweep(t.Context(), "default", []askara.Receipt{batch[0].Receipt, batch[2].Receipt}); err != nil {
		t.Fatal(err)
	}
	left := leftIn(t, f)
	if len(left) != 4 || slices.Contains(left, batch[1].Receipt.Staged) || slices.Contains(left, "rubbish") {
		t.Errorf("staging holds %q", left)
	}
	if got := staged(t, f, "other"); len(got) != 2 {
		t.Errorf("the other account's staging holds %q", got)
	}
	for _, i := range []int{0, 2} {
		if got, err := f.Settle(t.Context(), &batch[i]); err != nil || got != askara.SettledStaged {
			t.Errorf("settled as %v, %v", got, err)
		}
	}
	deliver(t, f, []askara.Delivery{batch[0], batch[2]})
}

func TestSweepLeavesWhatIsBeingWritten(t *testing.T) {
	f := open(t, config(t))
	body := readerFunc(func(p []byte) (int, error) {
		if err := f.Sweep(t.Context(), "default", nil); err != nil {
			t.Error(err)
		}
		return copy(p, "%PDF-1.7"), io.EOF
	})
	if _, err := f.Stage(t.Context(), deliveryOf(1), body, -1); err != nil {
		t.Fatal(err)
	}
	if got := leftIn(t, f); len(got) != 1 {
		t.Errorf("staging holds %q", got)
	}
}
