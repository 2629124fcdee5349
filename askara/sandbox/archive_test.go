package sandbox_test

import (
	"cmp"
	"encoding/json"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"askara-sync/askara/sandbox"
)

// The order of a list must survive any history of changes.
func TestOrderSurvivesChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := connect(t, sandbox.Config{Burst: -1})
		rng := rand.New(rand.NewPCG(1, 2))
		var ids []string
		for range 4000 {
			switch n := rng.IntN(10); {
			case n < 5 || len(ids) == 0:
				d := sandbox.Document{}
				if n == 0 {
					d.UpdatedAt = time.Now().Add(-time.Duration(rng.IntN(5000)) * time.Second)
				}
				ids = append(ids, b.s.AddDocument(d))
			case n < 9:
				b.s.Touch(ids[rng.IntN(len(ids))])
			default:
				i := rng.IntN(len(ids))
				b.s.Remove(ids[i])
				ids = slices.Delete(ids, i, i+1)
			}
			if rng.IntN(20) == 0 {
				time.Sleep(time.Second)
			}
		}
		records := b.s.Documents()
		slices.SortFunc(records, func(x, y sandbox.Record) int {
			return cmp.Or(x.UpdatedAt.Compare(y.UpdatedAt), strings.Compare(x.UUID, y.UUID))
		})
		got, _ := walk(b, "updatedAt")
		want(t, "documents", len(got), len(ids))
		for i, r := range records {
			if got[i] != r.UUID {
				t.Fatalf("place %d: got %s, want %s", i, got[i], r.UUID)
			}
		}
	})
}

func TestHowDocumentsAreShown(t *testing.T) {
	at := day.Add(123456 * time.Microsecond)
	show := func(t *testing.T, d sandbox.Dialect, doc sandbox.Document) map[string]any {
		b := connect(t, sandbox.Config{Contract: d})
		if doc.UpdatedAt.IsZero() {
			doc.UpdatedAt = at
		}
		return b.get("/documents/" + b.s.AddDocument(doc)).object(t)
	}
	for style, text := range map[sandbox.DateStyle]string{
		sandbox.DatesOffset: "2026-02-24T10:30:00+00:00", sandbox.DatesZulu: "2026-02-24T10:30:00Z", sandbox.DatesMillis: "2026-02-24T10:30:00.123Z",
		sandbox.DatesMicros: "2026-02-24T10:30:00.123456+00:00", sandbox.DatesParis: "2026-02-24T12:30:00+02:00", sandbox.DatesGarbage: "le 24/2 à 10h",
	} {
		want(t, "date", show(t, sandbox.Dialect{Dates: style}, sandbox.Document{})["updatedAt"].(string), text)
	}
	plain := show(t, sandbox.Dialect{}, sandbox.Document{})
	want(t, "patient", plain["patient"].(map[string]any)["lastName"].(string) != "", true)
	want(t, "user", plain["user"].(map[string]any)["rpps"].(string) != "", true)
	want(t, "title", plain["title"].(string) != "", true)
	_, there := plain["synchronizedAt"]
	want(t, "an empty key", there, false)
	value, there := show(t, sandbox.Dialect{Nulls: true}, sandbox.Document{})["synchronizedAt"]
	want(t, "a null", there && value == nil, true)
	want(t, "an IRI", strings.HasPrefix(show(t, sandbox.Dialect{Patient: sandbox.PatientIRI}, sandbox.Document{})["patient"].(string), "/patients/"), true)
	for name, m := range map[string]map[string]any{
		"patient":   show(t, sandbox.Dialect{Patient: sandbox.PatientAbsent}, sandbox.Document{}),
		"user":      show(t, sandbox.Dialect{}, sandbox.Document{NoUser: true}),
		"updatedAt": show(t, sandbox.Dialect{NoDates: true}, sandbox.Document{}),
		"createdAt": show(t, sandbox.Dialect{}, sandbox.Document{NoDates: true}),
		"status":    show(t, sandbox.Dialect{NoStatus: true}, sandbox.Document{}),
		"title":     show(t, sandbox.Dialect{Title: "name"}, sandbox.Document{}),
	} {
		_, there := m[name]
		want(t, name+" is left out", there, false)
	}
	unknown := show(t, sandbox.Dialect{UnknownKeys: true}, sandbox.Document{})
	want(t, "unknown keys", unknown["__v"] != nil && unknown["tags"] != nil, true)
}

func TestHostileTitlesArriveAsTheyAre(t *testing.T) {
	b := connect(t, sandbox.Config{})
	ids := b.s.AddHostile()
	titles := map[string]bool{}
	long := 0
	for page := range 10 {
		for _, item := range b.get(query("itemsPerPage", "100", "page", string(rune('1'+page)))).array(t) {
			title := item.(map[string]any)["title"].(string)
			titles[title] = true
			long = max(long, utf8.RuneCountInString(title))
		}
	}
	for _, title := range sandbox.HostileTitles() {
		want(t, "listed", titles[strings.ToValidUTF8(title, "\ufffd")] || titles[asJSON(title)], true)
	}
	want(t, "longest", long, 5000)
	for _, id := range ids {
		a := b.get("/documents/" + id + "/pdf")
		want(t, "a PDF", a.status == http.StatusOK && isPDF(a.body), true)
	}
}

// asJSON is what a string becomes on its way through JSON.
func asJSON(s string) string {
	b, _ := json.Marshal(s)
	json.Unmarshal(b, &s)
	return s
}

func TestTheSameSeedMakesTheSameWorld(t *testing.T) {
	make3 := func(seed uint64) (ids, tokens string) {
		s := sandbox.New(sandbox.Config{Seed: seed})
		access, _ := s.Login("")
		return strings.Join(s.Add(3, sandbox.Document{UpdatedAt: day}), " "), access[len(access)-300:]
	}
	ids, tokens := make3(7)
	sameIDs, sameTokens := make3(7)
	otherIDs, otherTokens := make3(8)
	want(t, "same uuids", ids, sameIDs)
	want(t, "same tokens", tokens, sameTokens)
	want(t, "other uuids", ids != otherIDs, true)
	want(t, "other tokens", tokens != otherTokens, true)
}

func TestPrefix(t *testing.T) {
	b := connect(t, sandbox.Config{Prefix: "/v1/"})
	want(t, "inside", b.get("/v1/documents").status, http.StatusOK)
	want(t, "outside", b.get("/documents").status, http.StatusNotFound)
	want(t, "beside", b.get("/v1x/documents").status, http.StatusNotFound)
	want(t, "counted", b.s.Stats().Outside, 2)
}

// With 20,000 documents a keyed page must not cost more than with 200.
func TestAKeyedPageLooksAtThePageOnly(t *testing.T) {
	b := connect(t, sandbox.Config{})
	b.s.AddHistory(5000, day, day.Add(4999*time.Second), sandbox.Document{})
	a := b.get(query("itemsPerPage", "100", "order[updatedAt]", "asc", "updatedAt[gte]", day.Add(4000*time.Second).Format(time.RFC3339)))
	want(t, "documents", len(a.array(t)), 100)
	want(t, "looked at", b.s.Stats().Visited, 100)
}

func BenchmarkKeyedPage(b *testing.B) {
	for _, n := range []int{200, 20_000} {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			s := sandbox.New(sandbox.Config{Burst: -1})
			access, _ := s.Login("")
			s.AddHistory(n, day, day.Add(time.Duration(n)*time.Second), sandbox.Document{})
			c := &http.Client{Transport: s.RoundTripper()}
			url := "http://sandbox" + query("itemsPerPage", "100", "order[updatedAt]", "asc", "updatedAt[gte]",
				day.Add(time.Duration(n-150)*time.Second).Format(time.RFC3339))
			b.ReportAllocs()
			for b.Loop() {
				if status, _, err := fetch(b.Context(), c, access, url); status != http.StatusOK {
					b.Fatal(status, err)
				}
			}
		})
	}
}

func BenchmarkDownload(b *testing.B) {
	for _, size := range []int{2 << 10, 200 << 10} {
		b.Run(strconv.Itoa(size), func(b *testing.B) {
			s := sandbox.New(sandbox.Config{Burst: -1})
			access, _ := s.Login("")
			url := "http://sandbox/documents/" + s.AddDocument(sandbox.Document{Size: size}) + "/pdf"
			c := &http.Client{Transport: s.RoundTripper()}
			b.ReportAllocs()
			for b.Loop() {
				if status, _, err := fetch(b.Context(), c, access, url); status != http.StatusOK {
					b.Fatal(status, err)
				}
			}
		})
	}
}
