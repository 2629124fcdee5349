package sandbox

import (
	"encoding/json"
	"io"
	"net/http"
)

// webhook answers POST /webhooks: it takes any address and calls none; WebhookBody is what it would send.
func (s *Server) webhook(x *exchange) {
	var asked struct {
		URL    string   `json:"url"`
		Events []string `json:"events"`
	}
	if json.NewDecoder(io.LimitReader(x.r.Body, 64<<10)).Decode(&asked) != nil || asked.URL == "" || len(asked.Events) == 0 {
		problem(x.w, http.StatusUnprocessableEntity, "An error occurred", "url: This value should not be blank.")
		return
	}
	s.logins.mu.Lock()
	id := newUUID(s.logins.rng)
	s.logins.mu.Unlock()
	o := object{b: []byte{'{'}}
	o.text("uuid", id)
	o.text("url", asked.URL)
	o.raw("active", "true")
	x.send(http.StatusCreated, "application/json; charset=utf-8", append(o.b, '}'))
}

// WebhookBody is the payload that tells of documents. The event is new_document or document_synchronize.
func (s *Server) WebhookBody(event string, uuids ...string) []byte {
	s.logins.mu.Lock()
	defer s.logins.mu.Unlock()
	b := []byte(`{"events":[`)
	for i, uuid := range uuids {
		if i > 0 {
			b = append(b, ',')
		}
		o := object{b: append(b, '{')}
		o.text("id", newUUID(s.logins.rng))
		o.text("resource_type", "document")
		o.text("action", event)
		o.raw("metadata", `{"document":{"uuid":`+string(appendString(nil, uuid))+`}}`)
		o.raw("resource_metadata", `{"user_id":"`+personUUID("")+`","organization_id":"`+clinic.UUID+`"}`)
		b = append(o.b, '}')
	}
	return append(b, `],"meta":{"webhook_id":"5b0a3f6e-93ad-4c37-8a3d-0c5f0f1d2a77"}}`...)
}
