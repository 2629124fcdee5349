package sandbox_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"askara-sync/askara/sandbox"
)

func TestTheDescriptionIsOfTheContractInForce(t *testing.T) {
	b := connect(t, sandbox.Config{Contract: sandbox.Dialect{PDFPath: "/files/{uuid}/content", ConfirmMethod: "POST",
		ConfirmPath: "/documents/{uuid}/synchronize", ConfirmContentType: "application/json", StatusField: "state", Done: "imported",
		OrderField: "modifiedAt"}})
	b.access = "" // it is public
	a := b.get("/docs.jsonopenapi")
	want(t, "status", a.status, http.StatusOK)
	want(t, "content type", strings.HasPrefix(a.header.Get("Content-Type"), "application/vnd.openapi+json"), true)
	m := a.object(t)
	paths := m["paths"].(map[string]any)
	want(t, "PDF path", paths["/files/{uuid}/content"] != nil, true)
	confirm := paths["/documents/{uuid}/synchronize"].(map[string]any)["post"].(map[string]any)
	content := confirm["requestBody"].(map[string]any)["content"].(map[string]any)
	want(t, "confirm's type", content["application/json"] != nil, true)
	schema := m["components"].(map[string]any)["schemas"].(map[string]any)["Document.synchronization"].(map[string]any)
	state, _ := json.Marshal(schema["properties"].(map[string]any)["state"].(map[string]any)["enum"])
	want(t, "states", string(state), `["imported","failed",null]`)
	parameters, _ := json.Marshal(paths["/documents"].(map[string]any)["get"].(map[string]any)["parameters"])
	want(t, "order", strings.Contains(string(parameters), `"order[modifiedAt]"`), true)
	want(t, "bounds", strings.Contains(string(parameters), `"modifiedAt[gte]"`), true)
	want(t, "the other path", b.get("/docs.json").status, http.StatusOK)

	b.s.SetDialect(sandbox.Dialect{IgnoreOrder: true, IgnoreBounds: true, Description: sandbox.DescriptionAtJSON})
	want(t, "moved", b.get("/docs.jsonopenapi").status, http.StatusNotFound)
	text := string(b.get("/docs.json").body)
	want(t, "no order", strings.Contains(text, "order["), false)
	want(t, "no bounds", strings.Contains(text, "[gte]"), false)
	b.s.SetDialect(sandbox.Dialect{Description: sandbox.DescriptionNone})
	want(t, "none", b.get("/docs.json").status, http.StatusNotFound)
}

func TestProbes(t *testing.T) {
	b := connect(t, sandbox.Config{})
	id := b.s.AddDocument(sandbox.Document{})
	probe := func(method, path string) answer { t.Helper(); return b.do(method, path, "", "") }
	a := probe(http.MethodOptions, "/documents/"+id)
	want(t, "OPTIONS", a.status, http.StatusNoContent)
	want(t, "Allow", a.header.Get("Allow"), "PATCH, GET, HEAD, OPTIONS")
	want(t, "Accept-Patch", a.header.Get("Accept-Patch"), "application/merge-patch+json")
	a = b.get("/documents/" + id)
	want(t, "Allow of GET", a.header.Get("Allow"), "PATCH, GET, HEAD, OPTIONS")
	want(t, "Accept-Patch of GET", a.header.Get("Accept-Patch"), "application/merge-patch+json")
	a = probe(http.MethodHead, "/documents/"+id+"/pdf")
	want(t, "HEAD", a.status, http.StatusOK)
	want(t, "its type", a.header.Get("Content-Type"), "application/pdf")
	want(t, "its body", len(a.body), 0)
	want(t, "of an unknown document", probe(http.MethodHead, "/documents/none/pdf").status, http.StatusNotFound)
	want(t, "of an unknown path", probe(http.MethodOptions, "/nothing").status, http.StatusNotFound)
	r, _ := b.s.Document(id)
	want(t, "PDF requests", r.Requests, 0)
	want(t, "probes", b.s.Stats().Requests[sandbox.KindProbe], 3)
	b.s.SetDialect(sandbox.Dialect{NoAllow: true})
	want(t, "OPTIONS where there is none", probe(http.MethodOptions, "/documents/"+id).status, http.StatusMethodNotAllowed)
	want(t, "no Accept-Patch", b.get("/documents/"+id).header.Get("Accept-Patch"), "")
}

func TestWebhookBodies(t *testing.T) {
	b := connect(t, sandbox.Config{})
	a := b.do(http.MethodPost, "/webhooks", "application/json", `{"url":"https://clinic.example/hook","events":["new_document"],"active":true}`)
	want(t, "registered", a.status, http.StatusCreated)
	want(t, "without address", b.do(http.MethodPost, "/webhooks", "application/json", `{}`).status, http.StatusUnprocessableEntity)
	var body struct {
		Events []struct {
			ID, Action string
			Metadata   struct{ Document struct{ UUID string } }
		}
	}
	if err := json.Unmarshal(b.s.WebhookBody("new_document", "u1", "u2"), &body); err != nil {
		t.Fatal(err)
	}
	want(t, "events", len(body.Events), 2)
	want(t, "document", body.Events[1].Metadata.Document.UUID, "u2")
	want(t, "action", body.Events[1].Action, "new_document")
	want(t, "ids differ", body.Events[0].ID != body.Events[1].ID, true)
}
