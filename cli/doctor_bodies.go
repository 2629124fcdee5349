package cli

import (
	"cmp"
	"encoding/json"
	"errors"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"askara-sync/askara"
)

// find returns the operation that is described.
func (d *description) find(method, path string) (operation, bool) {
	for _, o := range d.operations {
		if o.method == method && o.path == path {
			return o, true
		}
	}
	return operation{}, false
}

var (
	confirmWord  = regexp.MustCompile(`(synchroni[sz]|\bsync|confirm|acknowledg|import|integrat|\back\b)`)
	confirmField = regexp.MustCompile(`(?i)(synchroni[sz]|sync|import|integrat|confirm|acknowledg)`)
)

// confirmations lists operations by which a document may be confirmed, the likeliest first.
func (d *description) confirmations() []operation {
	score := func(o operation) int {
		if o.parameters != 1 || !o.about() || !slices.Contains([]string{http.MethodPatch, http.MethodPut, http.MethodPost}, o.method) {
			return 0
		}
		n := 0
		if confirmWord.MatchString(o.words) {
			n += 5
		}
		for name := range d.bodyOf(o) {
			if confirmField.MatchString(name) {
				n += 3
				break
			}
		}
		if n > 0 && o.method == http.MethodPatch {
			n++
		}
		return n
	}
	type scored struct {
		operation
		score int
	}
	var found []scored
	for _, o := range d.operations {
		if n := score(o); n > 0 {
			found = append(found, scored{o, n})
		}
	}
	slices.SortStableFunc(found, func(a, b scored) int { return cmp.Compare(b.score, a.score) })
	list := make([]operation, len(found))
	for i, f := range found {
		list[i] = f.operation
	}
	return list
}

// bodyOf returns the properties that a request takes; those that only the server writes are left out.
func (d *description) bodyOf(o operation) map[string]map[string]any {
	media := jsonMedia(strings.Join(keysOf(o.body), ","))
	properties := d.schemas.properties(d.schemas.resolve(object(o.body[media])["schema"]))
	for name, p := range properties {
		if readOnly, _ := p["readOnly"].(bool); readOnly || !fieldName.MatchString(name) {
			delete(properties, name)
		}
	}
	return properties
}

func keysOf(m map[string]any) (keys []string) {
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

// fit makes a contract confirm by an operation; fits says that the given one does already.
func (d *description) fit(c askara.Contract, o operation) (fitted askara.Contract, fits bool) {
	fitted = c
	fitted.ConfirmMethod, fitted.ConfirmPath = o.method, o.path
	if media := jsonMedia(strings.Join(keysOf(o.body), ",")); media != "" && o.body[c.ConfirmContentType] == nil {
		fitted.ConfirmContentType = media
	}
	properties := d.bodyOf(o)
	if len(properties) > 0 && !(d.takes(properties, c.ConfirmSuccess) && d.takes(properties, c.ConfirmFailure)) {
		fitted.ConfirmSuccess, fitted.ConfirmFailure = confirmBodies(properties)
	}
	same := fitted.ConfirmMethod == c.ConfirmMethod && fitted.ConfirmPath == c.ConfirmPath && fitted.ConfirmContentType == c.ConfirmContentType &&
		fitted.ConfirmSuccess == c.ConfirmSuccess && fitted.ConfirmFailure == c.ConfirmFailure
	return fitted, same
}

// takes says whether the described properties have those of a body, with its values.
func (d *description) takes(properties map[string]map[string]any, body string) bool {
	var fields map[string]any
	if json.Unmarshal([]byte(body), &fields) != nil {
		return true // no object, so nothing can be said
	}
	for name, value := range fields {
		p, ok := properties[name]
		if !ok {
			return false
		}
		enum, ok := p["enum"].([]any)
		if word, isWord := value.(string); ok && isWord && word != "{reason}" && !slices.Contains(enum, any(word)) {
			return false
		}
	}
	return true
}

var (
	goodWord    = regexp.MustCompile(`(?i)^(synchroni[sz]ed|success|successful|succeeded|done|ok|imported|confirmed|completed?|integrated|delivered|received|accepted|processed|acknowledged)$`)
	badWord     = regexp.MustCompile(`(?i)(fail|error|reject|refus|^ko$|^not_|^nok$)`)
	statusName  = regexp.MustCompile(`(?i)(status|state|result|outcome)$`)
	reasonNames = []*regexp.Regexp{regexp.MustCompile(`(?i)error`), regexp.MustCompile(`(?i)reason`), regexp.MustCompile(`(?i)(message|comment|detail|note)`)}
)

// confirmBodies makes the bodies of a success and of a failure from what a request takes.
func confirmBodies(properties map[string]map[string]any) (success, failure string) {
	names := make([]string, 0, len(properties))
	for name := range properties {
		names = append(names, name)
	}
	slices.Sort(names)
	status, reason := "", ""
	for _, r := range reasonNames {
		if i := slices.IndexFunc(names, r.MatchString); i >= 0 && reason == "" {
			reason = names[i]
		}
	}
	rank := func(name string) int {
		switch sync, state := confirmField.MatchString(name), statusName.MatchString(name); {
		case name == reason:
			return 0
		case sync && state:
			return 3
		case state:
			return 2
		case sync:
			return 1
		}
		return 0
	}
	for _, name := range names {
		if rank(name) > 0 && (status == "" || rank(name) > rank(status)) {
			status = name
		}
	}
	good, bad := body{}, body{}
	if status != "" {
		yes, no := outcomes(properties[status])
		good, bad = good.with(status, yes), bad.with(status, no)
	}
	if reason != "" {
		bad = bad.with(reason, "{reason}")
	}
	return good.String(), bad.String()
}

// outcomes returns the values of a success and of a failure.
func outcomes(property map[string]any) (yes, no any) {
	if property["type"] == "boolean" {
		return true, false
	}
	yes, no = "synchronized", "failed"
	var words []string
	enum, _ := property["enum"].([]any)
	for _, v := range enum {
		if s, ok := v.(string); ok && s != "" {
			words = append(words, s)
		}
	}
	if i := slices.IndexFunc(words, badWord.MatchString); i >= 0 {
		no = words[i]
	}
	if i := slices.IndexFunc(words, goodWord.MatchString); i >= 0 {
		yes = words[i]
	} else if i := slices.IndexFunc(words, func(w string) bool { return w != no }); i >= 0 && len(words) == 2 {
		yes = words[i]
	}
	return yes, no
}

// body is a JSON object whose properties keep their order.
type body []string

func (b body) with(name string, value any) body {
	key, err := json.Marshal(name)
	text, err2 := json.Marshal(value)
	if errors.Join(err, err2) != nil { // strings and truth always encode
		return b
	}
	return append(b, string(key)+":"+string(text))
}

// String writes the object.
func (b body) String() string { return "{" + strings.Join(b, ",") + "}" }
