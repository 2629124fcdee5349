package cli

import (
	"context"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"slices"
	"strings"

	"askara-sync/askara"
)

// confirmation finds out, without writing, whether confirming can work as configured. Where --confirm names a document, it is tried.
func (q *inquiry) confirmation(ctx context.Context) {
	if !q.contract.Confirm {
		q.report.ok("confirm", "off: Askara is not told what became of a document")
		return
	}
	why, c := q.confirmDerived(ctx)
	if why != "" {
		note := noteDerived
		if q.flags.confirm != "" {
			var ok bool
			if c, ok = q.confirms(ctx, c); !ok {
				return
			}
			note = noteConfirmed
		}
		q.report.fail("confirm", askara.FaultConfiguration, why, linesBelow+"; they are "+note)
		q.proposeConfirm(c, note)
		q.contract = c
		return
	}
	if q.flags.confirm == "" {
		return
	}
	switch c, ok := q.confirms(ctx, q.contract); {
	case ok && c.ConfirmContentType == q.contract.ConfirmContentType:
		q.report.ok("confirm", "Askara accepted that document %s was delivered", q.flags.confirm)
	case ok:
		q.report.fail("confirm", askara.FaultConfiguration, "Askara takes "+c.ConfirmContentType+" and not "+q.contract.ConfirmContentType, linesBelow)
		q.proposeConfirm(c, noteConfirmed)
		q.contract = c
	}
}

// noteConfirmed is how sure a line is that --confirm has tried.
const noteConfirmed = "tried on the document that you named"

// proposeConfirm proposes what differs.
func (q *inquiry) proposeConfirm(c askara.Contract, note string) {
	was := q.cfg.API.Contract
	q.propose("confirm_method", c.ConfirmMethod, was.ConfirmMethod, note)
	q.propose("confirm_path", c.ConfirmPath, was.ConfirmPath, note)
	q.propose("confirm_content_type", c.ConfirmContentType, was.ConfirmContentType, note)
	q.propose("confirm_success", c.ConfirmSuccess, was.ConfirmSuccess, note)
	q.propose("confirm_failure", c.ConfirmFailure, was.ConfirmFailure, note)
}

// confirmTypes are what the bodies may be called.
var confirmTypes = []string{"application/merge-patch+json", "application/json", "application/ld+json"}

// confirms tells Askara that the document which the person named was delivered. It returns the contract that was accepted, which differs
// from c in the type of the body at most; it reports what was not.
func (q *inquiry) confirms(ctx context.Context, c askara.Contract) (askara.Contract, bool) {
	_, err := q.with(c).Confirm(ctx, q.flags.confirm, askara.Outcome{})
	for _, media := range confirmTypes {
		e, ok := errors.AsType[*askara.Error](err)
		if !ok || e.Status != http.StatusUnsupportedMediaType {
			break
		}
		if media != c.ConfirmContentType {
			other := c
			other.ConfirmContentType = media
			if _, err = q.with(other).Confirm(ctx, q.flags.confirm, askara.Outcome{}); err == nil {
				return other, true
			}
		}
	}
	switch {
	case err == nil:
		return c, true
	case q.unasked("confirm", err):
	case askara.FaultOf(err) == askara.FaultService:
		q.report.failed("confirm", err, "try it again later")
	default:
		text := fmt.Sprintf("%s %s: %s", c.ConfirmMethod, c.ConfirmPath, err)
		q.report.fail("confirm", askara.FaultConfiguration, text,
			"ask Askara how to confirm a document, and set api.contract.confirm_method, confirm_path, confirm_content_type and the bodies")
	}
	return c, false
}

// confirmDerived looks for what speaks against the configured way to confirm, and for a better one. why is "" where nothing does;
// then it has reported what there is.
func (q *inquiry) confirmDerived(ctx context.Context) (why string, c askara.Contract) {
	d := q.describe(ctx)
	if len(d.operations) > 0 {
		if o, ok := d.find(q.contract.ConfirmMethod, q.contract.ConfirmPath); ok {
			fitted, fits := d.fit(q.contract, o)
			if fits {
				q.mayConfirm("the API describes it like this")
				return "", c
			}
			return fmt.Sprintf("the API describes %s %s otherwise", o.method, o.path), fitted
		}
		for _, o := range d.confirmations() {
			if c, _ := d.fit(q.contract, o); len(c.Validate()) == 0 {
				return fmt.Sprintf("the API describes no %s %s; it describes %s %s", q.contract.ConfirmMethod, q.contract.ConfirmPath, o.method, o.path), c
			}
		}
	}
	if q.document == nil {
		q.report.warn("confirm", "nothing can be seen of it without a document", "run doctor again when there is a validated document")
		return "", c
	}
	return q.confirmAllowed(ctx)
}

// mayConfirm reports that nothing speaks against the configured way.
func (q *inquiry) mayConfirm(why string) {
	if q.flags.confirm == "" {
		q.report.ok("confirm", "%s %s: %s; not tried", q.contract.ConfirmMethod, q.contract.ConfirmPath, why)
	}
}

// likelyConfirms are what may well stand after the address of a document.
var likelyConfirms = []string{"/synchronize", "/confirm", "/synchronization", "/acknowledge"}

// confirmAllowed goes by the methods that the API says it allows.
func (q *inquiry) confirmAllowed(ctx context.Context) (why string, c askara.Contract) {
	c = q.contract
	h := q.allow
	if c.ConfirmPath != c.DocumentPath || allowed(h) == nil {
		h = q.options(ctx, c.ConfirmPath)
	}
	methods := allowed(h)
	if slices.Contains(methods, c.ConfirmMethod) {
		media := h.Get("Accept-" + c.ConfirmMethod[:1] + strings.ToLower(c.ConfirmMethod[1:]))
		if better := jsonMedia(media); better != "" && !strings.Contains(media, c.ConfirmContentType) {
			c.ConfirmContentType = better
			return fmt.Sprintf("%s %s takes %s and not %s", c.ConfirmMethod, c.ConfirmPath, better, q.contract.ConfirmContentType), c
		}
		q.mayConfirm("the API allows it")
		return "", c
	}
	paths := []string{c.ConfirmPath}
	for _, end := range likelyConfirms {
		paths = append(paths, c.DocumentPath+end)
	}
	for i, path := range paths {
		if i > 0 {
			if !q.ration.has(1) || q.flags.confirm != "" && !q.ration.has(2) {
				break
			}
			h = q.options(ctx, path)
		}
		for _, method := range []string{http.MethodPatch, http.MethodPost, http.MethodPut} {
			if !slices.Contains(allowed(h), method) {
				continue
			}
			c.ConfirmMethod, c.ConfirmPath = method, path
			media := h.Get("Accept-" + method[:1] + strings.ToLower(method[1:]))
			switch better := jsonMedia(media); {
			case better != "":
				c.ConfirmContentType = better
			case method == http.MethodPatch:
				c.ConfirmContentType = askara.DefaultContract().ConfirmContentType
			default:
				c.ConfirmContentType = "application/json"
			}
			return fmt.Sprintf("%s %s is not allowed; %s %s is", q.contract.ConfirmMethod, q.contract.ConfirmPath, method, path), c
		}
	}
	if q.flags.confirm == "" {
		q.report.warn("confirm", "whether it works cannot be seen without writing", "askara-sync doctor --confirm UUID tries it on a document that was delivered")
	}
	return "", c
}

// options asks which methods an address allows.
func (q *inquiry) options(ctx context.Context, path string) http.Header {
	s, err := q.client().Look(ctx, askara.Look{Method: http.MethodOptions, Path: path, UUID: q.document.UUID})
	if err != nil {
		return nil
	}
	return s.Header
}

// allowed lists the methods of an Allow header.
func allowed(h http.Header) (methods []string) {
	for _, line := range h.Values("Allow") {
		for method := range strings.SplitSeq(line, ",") {
			methods = append(methods, strings.ToUpper(strings.TrimSpace(method)))
		}
	}
	return methods
}

// jsonMedia picks the JSON type that we would rather send from a list of media types, "" where there is none.
func jsonMedia(list string) string {
	best := ""
	for item := range strings.SplitSeq(list, ",") {
		media, _, err := mime.ParseMediaType(item)
		if err != nil || media != "application/json" && !strings.HasSuffix(media, "+json") {
			continue
		}
		if best == "" || mediaRank(media) < mediaRank(best) {
			best = media
		}
	}
	return best
}

func mediaRank(media string) int {
	if i := slices.Index([]string{"application/merge-patch+json", "application/json"}, media); i >= 0 {
		return i
	}
	return 2
}
