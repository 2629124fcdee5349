package sandbox_test

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"askara-sync/askara/sandbox"
)

// walk reads all documents by key: from the last updatedAt on, turning the page only where one instant fills it.
func walk(b *browser, field string) (ids []string, pages int) {
	b.t.Helper()
	seen := map[string]bool{}
	since, page := "", 1
	for pages = 1; pages < 1000; pages++ {
		q := []string{"itemsPerPage", "100", "page", strconv.Itoa(page), "order[" + field + "]", "asc", "order[uuid]", "asc"}
		if since != "" {
			q = append(q, field+"[gte]", since)
		}
		items := b.get(query(q...)).array(b.t)
		last := since
		for _, item := range items {
			m := item.(map[string]any)
			last = m[field].(string)
			if id := m["uuid"].(string); !seen[id] {
				seen[id] = true
				ids = append(ids, id)
			}
		}
		if len(items) < 100 {
			return ids, pages
		}
		if last == since {
			page++
		} else {
			since, page = last, 1
		}
	}
	b.t.Fatal("the walk does not end")
	return nil, 0
}

func TestListIsOrderedBoundedAndPaged(t *testing.T) {
	b := connect(t, sandbox.Config{})
	ids := b.s.AddHistory(250, day, day.Add(249*time.Minute), sandbox.Document{})
	got, pages := walk(b, "updatedAt")
	want(t, "all in order", slices.Equal(got, ids), true)
	want(t, "pages", pages, 3)

	all := func(pairs ...string) []string { t.Helper(); return uuids(b.get(query(pairs...)).array(t)) }
	want(t, "default page", len(all()), 20)
	want(t, "items above the maximum", len(all("itemsPerPage", "5000")), 100)
	want(t, "no items", len(all("itemsPerPage", "0")), 0)
	want(t, "past the end", len(all("page", "99")), 0)
	at := day.Add(100 * time.Minute).Format(time.RFC3339)
	for op, n := range map[string]int{"gte": 150, "gt": 149, "lte": 101, "lt": 100} {
		n := min(n, 100)
		first := all("itemsPerPage", "100", "order[updatedAt]", "asc", "updatedAt["+op+"]", at)
		want(t, op, len(first), n)
		want(t, op+" first", slices.Index(ids, first[0]), map[string]int{"gte": 100, "gt": 101}[op])
	}
	want(t, "between", len(all("itemsPerPage", "100", "updatedAt[between]", at+".."+day.Add(109*time.Minute).Format(time.RFC3339))), 10)
	want(t, "an unreadable bound is ignored", len(all("itemsPerPage", "100", "updatedAt[gte]", "hier")), 100)
	desc := all("itemsPerPage", "100", "order[updatedAt]", "desc")
	want(t, "descending", desc[0] == ids[249] && desc[99] == ids[150], true)
	want(t, "status", len(all("status", "draft")), 0)
}

func TestOneInstantAndLateComers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b *browser
		late := []string{}
		b = connect(t, sandbox.Config{OnList: func(n int) {
			if n == 3 {
				time.Sleep(time.Second)
				late = append(late, b.s.Add(5, sandbox.Document{})...)
			}
		}})
		ids := b.s.Add(350, sandbox.Document{})
		got, _ := walk(b, "updatedAt")
		slices.Sort(got)
		all := append(ids, late...)
		slices.Sort(all)
		want(t, "all found", slices.Equal(got, all), true)
		want(t, "late ones", len(late), 5)
	})
}

func TestListDialects(t *testing.T) {
	asc := query("itemsPerPage", "10", "order[updatedAt]", "asc", "updatedAt[gte]", day.Add(20*time.Minute).Format(time.RFC3339))
	setUp := func(t *testing.T, d sandbox.Dialect) (*browser, []string) {
		b := connect(t, sandbox.Config{Contract: d})
		ids := b.s.AddHistory(40, day, day.Add(39*time.Minute), sandbox.Document{})
		slices.Reverse(ids) // from here on, the oldest is the last created
		b.s = sandbox.New(sandbox.Config{Contract: d})
		b.access, _ = b.s.Login("")
		for i := range 40 {
			ids[i] = b.s.AddDocument(sandbox.Document{UpdatedAt: day.Add(time.Duration(39-i) * time.Minute)})
		}
		return b, ids // newest change first, in the order of creation
	}
	first := func(t *testing.T, d sandbox.Dialect) string {
		b, ids := setUp(t, d)
		got := uuids(b.get(asc).array(t))
		want(t, "items", len(got), 10)
		return map[string]string{ids[19]: "right", ids[0]: "newest", ids[39]: "oldest"}[got[0]]
	}
	want(t, "default", first(t, sandbox.Dialect{}), "right")
	want(t, "order ignored", first(t, sandbox.Dialect{IgnoreOrder: true}), "newest")
	want(t, "bound ignored", first(t, sandbox.Dialect{IgnoreBounds: true}), "oldest")
	want(t, "descending", first(t, sandbox.Dialect{Descending: true}), "newest")
	want(t, "both ignored", first(t, sandbox.Dialect{IgnoreBounds: true, IgnoreOrder: true}), "newest")

	t.Run("maximum", func(t *testing.T) {
		b, _ := setUp(t, sandbox.Dialect{MaxItems: 7})
		want(t, "items", len(b.get(asc).array(t)), 7)
	})
	t.Run("repeats", func(t *testing.T) {
		b, _ := setUp(t, sandbox.Dialect{Repeats: 3})
		one := uuids(b.get(query("itemsPerPage", "10", "page", "1")).array(t))
		two := uuids(b.get(query("itemsPerPage", "10", "page", "2")).array(t))
		want(t, "repeated", slices.Equal(one[7:], two[:3]), true)
		want(t, "the rest is new", slices.Contains(one, two[3]), false)
	})
	t.Run("garbage", func(t *testing.T) {
		b, ids := setUp(t, sandbox.Dialect{GarbageItems: true})
		found := map[string]bool{}
		for page := 1; ; page++ {
			items := b.get(query("itemsPerPage", "10", "page", strconv.Itoa(page))).array(t)
			if len(items) == 0 {
				break
			}
			want(t, "items", len(items), 10)
			want(t, "documents", len(uuids(items)), 4)
			for _, id := range uuids(items) {
				found[id] = true
			}
		}
		want(t, "found", len(found), len(ids))
	})
	t.Run("other field", func(t *testing.T) {
		b := connect(t, sandbox.Config{Contract: sandbox.Dialect{OrderField: "modifiedAt", DocumentsPath: "/v2/files"}})
		b.s.AddHistory(3, day, day.Add(time.Hour), sandbox.Document{})
		items := b.get("/v2/files?order[modifiedAt]=asc").array(t)
		want(t, "items", len(items), 3)
		want(t, "field", items[0].(map[string]any)["modifiedAt"].(string), "2026-02-24T10:30:00+00:00")
		want(t, "old path", b.get("/documents").status, http.StatusNotFound)
	})
}

func TestShapes(t *testing.T) {
	for _, test := range []struct {
		name, accept string
		dialect      sandbox.Dialect
		status       int
		contentType  string
		key          string // of the items; "" for a bare array
	}{
		{"array by accept", "application/json", sandbox.Dialect{}, 200, "application/json", ""},
		{"json-ld by accept", "application/ld+json, application/json;q=0.5", sandbox.Dialect{}, 200, "application/ld+json", "member"},
		{"json-ld for anything", "*/*", sandbox.Dialect{}, 200, "application/ld+json", "member"},
		{"json-ld forced", "application/json", sandbox.Dialect{Shape: sandbox.ShapeJSONLD}, 200, "application/ld+json", "member"},
		{"hydra forced", "application/json", sandbox.Dialect{Shape: sandbox.ShapeHydra}, 200, "application/ld+json", "hydra:member"},
		{"json-ld insisted", "application/json", sandbox.Dialect{Shape: sandbox.ShapeJSONLD, Insists: true}, 406, "application/problem+json", "-"},
		{"json-ld agreed", "application/ld+json", sandbox.Dialect{Shape: sandbox.ShapeJSONLD, Insists: true}, 200, "application/ld+json", "member"},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := connect(t, sandbox.Config{Contract: test.dialect})
			b.accept = test.accept
			b.s.AddHistory(25, day, day.Add(time.Hour), sandbox.Document{})
			a := b.get("/documents?itemsPerPage=10&page=2")
			want(t, "status", a.status, test.status)
			want(t, "content type", strings.Split(a.header.Get("Content-Type"), ";")[0], test.contentType)
			switch test.key {
			case "-":
			case "":
				want(t, "items", len(a.array(t)), 10)
			default:
				prefix := strings.TrimSuffix(test.key, "member")
				m := a.object(t)
				want(t, "items", len(m[test.key].([]any)), 10)
				want(t, "total", m[prefix+"totalItems"].(float64), 25.0)
				next := m[prefix+"view"].(map[string]any)[prefix+"next"].(string)
				last := b.get(next).object(t)
				want(t, "items of the next page", len(last[test.key].([]any)), 5)
				_, more := last[prefix+"view"].(map[string]any)[prefix+"next"]
				want(t, "another next", more, false)
			}
		})
	}
}
