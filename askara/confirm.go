package askara

import (
	"bytes"
	"context"
	"encoding/json"
)

// Confirm tells Askara what became of a document. On return without an error Askara has accepted it.
//
// The request is a guess (section 6 of the API's description). As PATCH or PUT it sets a state that does not depend on the one
// before, so that sending it twice says nothing twice, and it is repeated at once like a GET: a confirmation that got lost costs a
// whole pass otherwise. As POST it may make something anew each time, and is left to the next pass.
func (c *Client) Confirm(ctx context.Context, uuid string, o Outcome) (Confirmation, error) {
	if !usableUUID(uuid) {
		return Confirmation{}, unusable(opConfirm)
	}
	r := request{call: call{op: opConfirm, uuid: uuid, work: WorkConfirm}, method: c.contract.ConfirmMethod,
		url: endpoint(c.base, c.contract.ConfirmPath, uuid), accept: acceptJSON,
		contentType: c.contract.ConfirmContentType, body: c.contract.confirmBody(uuid, o)}
	resp, err := c.send(ctx, r)
	if err != nil {
		return Confirmation{}, err
	}
	defer resp.Body.Close()
	buf := c.buffers.take()
	defer c.buffers.give(buf)
	if err := readInto(buf, r, resp); err != nil {
		return Confirmation{}, err
	}
	body := bytes.TrimSpace(buf.Bytes())
	if len(body) == 0 {
		return Confirmation{}, nil
	}
	if !json.Valid(body) {
		// Whoever wrote this may not be Askara at all, so nothing is confirmed.
		return Confirmation{}, broken(r, resp, notJSON(resp, len(body)))
	}
	var answer Confirmation
	answer.UpdatedAt = parseTime(text(lookup(body, "updatedAt")))
	answer.Order = parseTime(text(lookup(body, c.contract.OrderField)))
	return answer, nil
}
