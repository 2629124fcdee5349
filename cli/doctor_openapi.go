package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"askara-sync/askara"
)

// maxDescription bounds what is read of the API's own description. One of a large API has some megabytes.
const maxDescription = 8 << 20

// descriptionPaths are where the software that Askara visibly uses serves it.
var descriptionPaths = []string{"/docs.jsonopenapi", "/docs.json"}

// describe asks the API for its own description, once. Where it has none, the answer is empty.
func (q *inquiry) describe(ctx context.Context) *description {
	if q.description != nil {
		return q.description
	}
	q.description = &description{}
	for _, path := range descriptionPaths {
		s, err := q.client().Look(ctx, askara.Look{
			Method: http.MethodGet, Path: path, Accept: "application/vnd.openapi+json, application/json;q=0.9, */*;q=0.1", Max: maxDescription,
		})
		if err != nil || s.Status != http.StatusOK {
			continue
		}
		if d := parseDescription(s.Body, q.cfg.API.Base); len(d.operations) > 0 {
			q.description = d
			q.report.ok("description", "the API describes itself at %s", path)
			break
		}
	}
	return q.description
}

// description is what an OpenAPI document says of documents. Everything in it is foreign: what is proposed from it is checked first.
type description struct {
	operations []operation
	schemas    *schemas
}

// operation is one request that the API takes.
type operation struct {
	method     string
	path       string   // relative to the base URL; {uuid} is its only parameter
	parameters int      // how many the path has: 0 or 1
	words      string   // all that names it, in lower case
	query      []string // parameters of the query
	body       map[string]any
	answer     map[string]any // of a success, by media type
}

// parseDescription reads an OpenAPI document as far as it is one.
func parseDescription(raw []byte, base *url.URL) *description {
	d := &description{}
	var root map[string]any
	if json.Unmarshal(raw, &root) != nil {
		return d
	}
	d.schemas = &schemas{root: root}
	server := ""
	if list, _ := root["servers"].([]any); len(list) > 0 {
		server = text(object(list[0])["url"])
	}
	if u, err := url.Parse(server); err == nil {
		server = strings.TrimRight(u.Path, "/")
	}
	paths := object(root["paths"])
	for _, path := range slices.Sorted(maps.Keys(paths)) {
		relative, ok := strings.CutPrefix(server+path, strings.TrimRight(base.Path, "/"))
		if !ok {
			continue
		}
		templated, n := withUUID(relative)
		if n > 1 {
			continue
		}
		for method, v := range object(paths[path]) {
			if o := object(v); o != nil {
				d.operations = append(d.operations, d.operation(strings.ToUpper(method), templated, n, o))
			}
		}
	}
	slices.SortFunc(d.operations, func(a, b operation) int {
		return cmp.Or(cmp.Compare(len(a.path), len(b.path)), strings.Compare(a.path, b.path), strings.Compare(a.method, b.method))
	})
	return d
}

var pathParameter = regexp.MustCompile(`\{[^{}/]*\}`)

// withUUID names a path's only parameter as the configuration does, and counts the parameters.
func withUUID(path string) (string, int) {
	return pathParameter.ReplaceAllString(path, "{uuid}"), len(pathParameter.FindAllString(path, 3))
}

func (d *description) operation(method, path string, parameters int, o map[string]any) operation {
	op := operation{method: method, path: path, parameters: parameters}
	words := []string{path, text(o["operationId"]), text(o["summary"])}
	tags, _ := o["tags"].([]any)
	for _, tag := range tags {
		words = append(words, text(tag))
	}
	op.words = strings.ToLower(strings.Join(words, " "))
	list, _ := o["parameters"].([]any)
	for _, p := range list {
		if p := d.schemas.resolve(p); text(p["in"]) == "query" {
			op.query = append(op.query, text(p["name"]))
		}
	}
	op.body = object(d.schemas.resolve(o["requestBody"])["content"])
	for status, answer := range object(o["responses"]) {
		if strings.HasPrefix(status, "2") {
			op.answer = object(d.schemas.resolve(answer)["content"])
		}
	}
	return op
}

// about says whether the operation is one on documents.
func (o operation) about() bool { return strings.Contains(o.words, "document") }

// collections lists addresses of lists of documents.
func (d *description) collections() (paths []string) {
	for _, o := range d.operations {
		if o.method != http.MethodGet || o.parameters != 0 || !o.about() {
			continue
		}
		for _, media := range o.answer {
			s := d.schemas.resolve(object(media)["schema"])
			if text(s["type"]) == "array" || d.schemas.properties(s)["member"] != nil || d.schemas.properties(s)["hydra:member"] != nil {
				paths = append(paths, o.path)
				break
			}
		}
	}
	return paths
}

// items lists addresses of one document.
func (d *description) items() (paths []string) {
	for _, o := range d.operations {
		if o.method == http.MethodGet && o.parameters == 1 && o.about() && strings.HasSuffix(o.path, "/{uuid}") {
			paths = append(paths, o.path)
		}
	}
	return paths
}

// parameters lists what the query of a list may hold.
func (d *description) parameters(path string) []string {
	for _, o := range d.operations {
		if o.method == http.MethodGet && o.path == path {
			return o.query
		}
	}
	return nil
}

// pdfPlace is where a description says that the PDF is.
type pdfPlace struct {
	path            string
	links, contents []string // names in the answer that look like a link, or like base64
	score           int
}

var (
	fileWord    = regexp.MustCompile(`(download|file|content|binary|raw|export|media|attachment|render|print)`)
	contentName = regexp.MustCompile(`(?i)(content|base64|data|bytes|body|pdf|file)`)
)

// pdfs lists where the PDF may be, the likeliest first.
func (d *description) pdfs() (places []pdfPlace) {
	for _, o := range d.operations {
		if o.method != http.MethodGet || o.parameters != 1 || !o.about() {
			continue
		}
		p := pdfPlace{path: o.path}
		for media, v := range o.answer {
			switch {
			case media == "application/pdf":
				p.score += 10
			case media == "application/octet-stream", media == "*/*":
				p.score += 4
			case !strings.HasSuffix(o.path, "/{uuid}"):
				for name := range d.schemas.properties(d.schemas.resolve(object(v)["schema"])) {
					if !fieldName.MatchString(name) {
						continue
					}
					if linkName.MatchString(name) {
						p.links = append(p.links, name)
					}
					if contentName.MatchString(name) {
						p.contents = append(p.contents, name)
					}
				}
			}
		}
		slices.Sort(p.links)
		slices.Sort(p.contents)
		if strings.Contains(o.words, "pdf") {
			p.score += 5
		}
		if fileWord.MatchString(o.words) {
			p.score += 3
		}
		if p.score > 0 {
			places = append(places, p)
		}
	}
	slices.SortStableFunc(places, func(a, b pdfPlace) int { return cmp.Compare(b.score, a.score) })
	return places
}

// schemas finds what a document refers to.
type schemas struct {
	root   map[string]any
	visits int
}

const (
	// maxReferences bounds how far references are followed: they may lead in a circle.
	maxReferences = 8
	// maxVisits bounds how much is followed in all: a circle may also branch.
	maxVisits = 100_000
)

// unescapePointer undoes the escapes of a JSON pointer's steps.
var unescapePointer = strings.NewReplacer("~1", "/", "~0", "~")

// resolve follows $ref within the document; an empty map where there is nothing.
func (s *schemas) resolve(v any) map[string]any {
	o := object(v)
	for range maxReferences {
		ref, ok := o["$ref"].(string)
		if !ok {
			return o
		}
		pointer, ok := strings.CutPrefix(ref, "#/")
		if !ok {
			return map[string]any{}
		}
		at := s.root
		for step := range strings.SplitSeq(pointer, "/") {
			if at = object(at[unescapePointer.Replace(step)]); at == nil {
				break
			}
		}
		o = at
	}
	return map[string]any{}
}

// properties returns the properties of a schema and of those that it is put together from.
func (s *schemas) properties(schema map[string]any) map[string]map[string]any {
	all := map[string]map[string]any{}
	s.collect(schema, all, 0)
	return all
}

func (s *schemas) collect(schema map[string]any, all map[string]map[string]any, depth int) {
	if s.visits++; depth > maxReferences || s.visits > maxVisits {
		return
	}
	for name, v := range object(schema["properties"]) {
		all[name] = s.resolve(v)
	}
	for _, key := range []string{"allOf", "anyOf", "oneOf"} {
		list, _ := schema[key].([]any)
		for _, part := range list {
			s.collect(s.resolve(part), all, depth+1)
		}
	}
}

func object(v any) map[string]any {
	o, _ := v.(map[string]any)
	return o
}

func text(v any) string {
	s, _ := v.(string)
	return s
}
