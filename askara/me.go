package askara

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
)

// Me is whose login this is.
type Me struct {
	UUID, Email, FirstName, LastName string
	Organizations                    []Organization
}

// LogValue implements slog.LogValuer: a log names nobody.
func (m Me) LogValue() slog.Value { return slog.StringValue(m.UUID) }

// Me asks whose login this is. The reference documents GET and the quickstart POST, so POST is tried where GET is refused.
func (c *Client) Me(ctx context.Context) (Me, error) {
	r := request{call: call{op: opMe, work: WorkLogin}, method: http.MethodGet, url: endpoint(c.base, mePath, ""), accept: acceptJSON}
	posts := c.mePosts.Load()
	resp, err := (*http.Response)(nil), error(nil)
	if !posts {
		resp, err = c.send(ctx, r)
	}
	if e, ok := errors.AsType[*Error](err); posts || ok && (e.Status == http.StatusNotFound || e.Status == http.StatusMethodNotAllowed) {
		r.method, r.contentType, r.body = http.MethodPost, "application/json", []byte("{}")
		if resp, err = c.send(ctx, r); err == nil {
			c.mePosts.Store(true)
		}
	}
	if err != nil {
		return Me{}, err
	}
	defer resp.Body.Close()
	buf := c.buffers.take()
	defer c.buffers.give(buf)
	if err := readInto(buf, r, resp); err != nil {
		return Me{}, err
	}
	if !json.Valid(buf.Bytes()) {
		return Me{}, broken(r, resp, notJSON(resp, buf.Len()))
	}
	return decodeMe(buf.Bytes()), nil
}

// decodeMe reads the answer. Organizations may be one object or an array [D, contradictory].
func decodeMe(raw []byte) Me {
	var m Me
	for key, value := range fields(raw) {
		switch string(key) {
		case "uuid":
			m.UUID = text(value)
		case "email":
			m.Email = text(value)
		case "firstName":
			m.FirstName = text(value)
		case "lastName":
			m.LastName = text(value)
		case "organization", "organizations":
			m.addOrganizations(value)
		}
	}
	return m
}

func (m *Me) addOrganizations(raw []byte) {
	if len(raw) > 0 && raw[0] != '[' {
		if o := decodeOrganization(raw); o != (Organization{}) {
			m.Organizations = append(m.Organizations, o)
		}
		return
	}
	for item := range items(raw) {
		if o := decodeOrganization(item); o != (Organization{}) {
			m.Organizations = append(m.Organizations, o)
		}
	}
}
