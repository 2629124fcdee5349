package sandbox

import (
	"encoding/json"
	"net/http"
	"strings"
)

// allowHeaders tells what may be done with a document, as API Platform does.
func (x *exchange) allowHeaders() {
	if x.c.NoAllow {
		return
	}
	h := x.w.Header()
	if x.allow == "" {
		x.allow = x.c.methods(strings.TrimPrefix(x.r.URL.Path, x.c.prefix))
	}
	h.Set("Allow", x.allow)
	if strings.Contains(x.allow, http.MethodPatch) && x.c.ConfirmMethod == http.MethodPatch {
		h.Set("Accept-Patch", x.c.ConfirmContentType)
	}
	if x.c.ConfirmMethod == http.MethodPost && strings.Contains(x.allow, http.MethodPost) {
		h.Set("Accept-Post", x.c.ConfirmContentType)
	}
}

// methods lists what a path takes.
func (c *contract) methods(path string) string {
	var methods []string
	for _, t := range c.routes {
		if _, ok := t.match(path); ok {
			methods = append(methods, t.method)
			if t.method == http.MethodGet {
				methods = append(methods, http.MethodHead)
			}
		}
	}
	return strings.Join(append(methods, http.MethodOptions), ", ")
}

// probe answers HEAD and OPTIONS.
func (s *Server) probe(x *exchange) {
	if x.uuid != "" {
		s.archive.mu.Lock()
		d := s.visible(x)
		s.archive.mu.Unlock()
		if d == nil {
			problem(x.w, http.StatusNotFound, "An error occurred", "Not Found")
			return
		}
		path := strings.TrimPrefix(x.r.URL.Path, x.c.prefix)
		if x.r.Method == http.MethodHead && path == strings.Replace(x.c.PDFPath, "{uuid}", x.uuid, 1) && x.c.PDFPath != x.c.DocumentPath {
			s.probePDF(x, d)
			return
		}
	}
	x.allowHeaders()
	if x.r.Method == http.MethodOptions {
		x.w.WriteHeader(http.StatusNoContent)
		return
	}
	x.w.Header().Set("Content-Type", "application/json; charset=utf-8")
	x.w.WriteHeader(http.StatusOK)
}

// probePDF answers HEAD of the PDF path; it does not count as a request for the document.
func (s *Server) probePDF(x *exchange, d *document) {
	s.archive.mu.Lock()
	mode, link := d.mode(x.c), s.link(d, x.c)
	s.archive.mu.Unlock()
	x.allowHeaders()
	switch mode {
	case PDFInDocument:
		problem(x.w, http.StatusNotFound, "An error occurred", "Not Found")
	case PDFRedirect:
		x.w.Header().Set("Location", link)
		x.w.WriteHeader(http.StatusFound)
	case PDFLink, PDFBase64:
		x.w.Header().Set("Content-Type", "application/json")
		x.w.WriteHeader(http.StatusOK)
	default:
		x.w.Header().Set("Content-Type", "application/pdf")
		x.w.WriteHeader(http.StatusOK)
	}
}

type member = map[string]any

// describe answers the API's own description: OpenAPI, in the way API Platform writes it, of the contract in force.
func (s *Server) describe(x *exchange) {
	c := x.c
	paths := map[string]member{}
	add := func(method, path string, operation member) {
		if paths[path] == nil {
			paths[path] = member{}
		}
		paths[path][strings.ToLower(method)] = operation
	}
	schema := member{"$ref": "#/components/schemas/Document"}
	uuid := member{"name": "uuid", "in": "path", "required": true, "schema": member{"type": "string"}}
	add(http.MethodGet, c.DocumentsPath, member{
		"operationId": "api_documents_get_collection", "tags": []string{"Document"}, "parameters": c.listParameters(),
		"responses": member{"200": member{"description": "Document collection", "content": c.content(member{"type": "array", "items": schema})}},
	})
	add(http.MethodGet, c.DocumentPath, member{
		"operationId": "api_documents_uuid_get", "tags": []string{"Document"}, "parameters": []member{uuid},
		"responses": member{"200": member{"description": "Document resource", "content": c.content(schema)}},
	})
	if c.PDF != PDFInDocument {
		media := member{"application/pdf": member{"schema": member{"type": "string", "format": "binary"}}}
		if c.PDF == PDFLink || c.PDF == PDFBase64 {
			key := c.LinkKey
			if c.PDF == PDFBase64 {
				key = c.ContentKey
			}
			media = member{"application/json": member{"schema": member{"type": "object", "properties": member{key: member{"type": "string"}}}}}
		}
		add(http.MethodGet, c.PDFPath, member{
			"operationId": "api_documents_uuid_pdf_get", "tags": []string{"Document"}, "parameters": []member{uuid},
			"responses": member{"200": member{"description": "The document as PDF", "content": media}},
		})
	}
	add(c.ConfirmMethod, c.ConfirmPath, member{
		"operationId": "api_documents_uuid_synchronize", "tags": []string{"Document"}, "parameters": []member{uuid},
		"summary": "Confirm the import of a document.",
		"requestBody": member{"required": true, "content": member{c.ConfirmContentType: member{"schema": member{
			"$ref": "#/components/schemas/Document.synchronization"}}}},
		"responses": member{"200": member{"description": "Document resource updated", "content": c.content(schema)}},
	})
	add(http.MethodGet, c.MePath, member{"operationId": "api_me", "tags": []string{"User"}, "responses": member{"200": member{"description": "User"}}})
	b, _ := json.Marshal(member{ // maps of strings always can
		"openapi": "3.1.0", "info": member{"title": "Askara API (sandbox)", "version": "1.0.0"},
		"servers": []member{{"url": c.prefix + "/"}}, "paths": paths, "components": member{"schemas": c.schemas()},
	})
	contentType := "application/vnd.openapi+json; charset=utf-8"
	if strings.HasSuffix(x.r.URL.Path, "/docs.json") {
		contentType = "application/json; charset=utf-8"
	}
	x.send(http.StatusOK, contentType, b)
}

func (c *contract) content(schema member) member {
	if c.Shape == ShapeByAccept {
		return member{"application/ld+json": member{"schema": schema}, "application/json": member{"schema": schema}}
	}
	return member{c.Shape.mediaType(): member{"schema": schema}}
}

func (c *contract) listParameters() []member {
	parameter := func(name, kind string) member {
		return member{"name": name, "in": "query", "schema": member{"type": kind}}
	}
	all := []member{parameter("page", "integer"), parameter("itemsPerPage", "integer")}
	all[1]["schema"] = member{"type": "integer", "default": c.DefaultItems, "minimum": 0, "maximum": c.MaxItems}
	if !c.IgnoreOrder && !c.Descending {
		for _, field := range []string{c.OrderField, "uuid"} {
			p := parameter("order["+field+"]", "string")
			p["schema"] = member{"type": "string", "enum": []string{"asc", "desc"}}
			all = append(all, p)
		}
	}
	if !c.IgnoreBounds {
		for _, op := range []string{"gt", "gte", "lt", "lte", "between"} {
			all = append(all, parameter(c.OrderField+"["+op+"]", "string"))
		}
	}
	return all
}

func (c *contract) schemas() member {
	text, date := member{"type": []string{"string", "null"}}, member{"type": []string{"string", "null"}, "format": "date-time"}
	status := member{"type": []string{"string", "null"}, "enum": []any{c.Done, c.Failed, nil}}
	p := member{"uuid": member{"type": "string", "format": "uuid"}, c.Title: text, "type": text, c.ErrorField: text}
	if !c.NoStatus {
		p["status"] = member{"type": "string", "enum": []string{"draft", "validated"}}
	}
	if !c.NoDates {
		for _, name := range []string{"createdAt", c.OrderField, "validatedAt", "synchronizedAt"} {
			p[name] = date
		}
	}
	p["patient"], p["user"] = member{"$ref": "#/components/schemas/Patient"}, member{"$ref": "#/components/schemas/User"}
	if c.Patient == PatientIRI {
		p["patient"] = member{"type": "string", "format": "iri-reference"}
		p["user"] = p["patient"]
	}
	if c.PDF == PDFInDocument {
		p[c.LinkKey] = member{"type": "string", "format": "uri"}
	}
	confirm := member{c.ErrorField: text}
	if c.Done != "-" {
		p[c.StatusField], confirm[c.StatusField] = status, status
	}
	object := func(properties member) member { return member{"type": "object", "properties": properties} }
	names := member{"uuid": text, "firstName": text, "lastName": text}
	return member{"Document": object(p), "Document.synchronization": object(confirm), "Patient": object(names), "User": object(names)}
}
