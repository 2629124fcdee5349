package askara

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
)

// Look is a question to one address of the API that changes nothing there, for finding out how the service really works.
type Look struct {
	// Method is GET, HEAD or OPTIONS.
	Method string
	// Path is below the base URL, with {uuid} for the document's UUID, like the paths of the Contract.
	Path string
	UUID string
	// Accept "" asks for JSON.
	Accept string
	// Max bounds in bytes what is read of the body; 0 reads none of it.
	Max int64
}

// Sight is an answer, whatever its status.
type Sight struct {
	Status int
	Header http.Header
	// Body is at most Look.Max bytes of it. It may hold patient data.
	Body []byte
	// Cut says that the body goes on after Body.
	Cut bool
}

// opLook is how an error names it.
const opLook = "look at the API"

// Look asks in the account's name. Every answer of the API is a Sight; an error says that none came, or that nothing could be asked.
// It follows redirects within the API's own host only.
func (c *Client) Look(ctx context.Context, l Look) (Sight, error) {
	switch l.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions:
	default:
		return Sight{}, &Error{Op: opLook, Kind: FaultUnexpected, Err: fmt.Errorf("%s may change something", l.Method)}
	}
	if checkPath(l.Path, 0) != nil && checkPath(l.Path, 1) != nil || l.UUID != "" && !usableUUID(l.UUID) {
		return Sight{}, &Error{Op: opLook, Kind: FaultUnexpected, Err: errors.New("the address is unusable")}
	}
	r := request{call: call{op: opLook, uuid: l.UUID, work: WorkFrom(ctx, WorkList)}, method: l.Method,
		url: endpoint(c.base, l.Path, l.UUID), accept: l.Accept}
	if r.accept == "" {
		r.accept = acceptJSON
	}
	wait, cancel := Waiting(ctx)
	defer cancel()
	token, err := c.tokens.Token(wait)
	if err != nil {
		return Sight{}, fmt.Errorf("%s: %w", r.op, err)
	}
	resp, err := c.attempt(ctx, r, token)
	if err != nil {
		return Sight{}, err
	}
	defer resp.Body.Close()
	s := Sight{Status: resp.StatusCode, Header: resp.Header}
	if l.Max > 0 {
		s.Body, err = io.ReadAll(io.LimitReader(resp.Body, l.Max+1))
		if err != nil {
			return s, unanswered(r.op, r.uuid, err)
		}
		if s.Cut = int64(len(s.Body)) > l.Max; s.Cut {
			s.Body = s.Body[:l.Max]
		}
	}
	return s, nil
}
