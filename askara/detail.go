package askara

import (
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"unicode"
)

const (
	// maxErrorBody bounds what is read of an answer that is an error.
	maxErrorBody = 64 << 10
	// maxDetail bounds, in characters, what of it reaches a log.
	maxDetail = 200
)

// detailHelps says for which statuses the answer's own words are worth showing: those that a setting can mend. In the others they
// say nothing new, and could repeat what a patient's record holds.
func detailHelps(status int) bool {
	switch status {
	case http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden, http.StatusMethodNotAllowed,
		http.StatusNotAcceptable, http.StatusUnsupportedMediaType, http.StatusUnprocessableEntity:
		return true
	}
	return false
}

// readDetail reads what an error's body says for itself: section 3's detail, title, hydra:description, in this order. A body
// that is HTML, plain text, empty or too long says nothing.
func readDetail(body io.Reader) string {
	raw, err := io.ReadAll(io.LimitReader(body, maxErrorBody))
	if err != nil {
		return ""
	}
	var problem map[string]json.RawMessage
	if json.Unmarshal(raw, &problem) != nil {
		return ""
	}
	for _, key := range []string{"detail", "title", "hydra:description"} {
		var text string
		if json.Unmarshal(problem[key], &text) != nil {
			continue
		}
		if text = oneLine(text); text != "" {
			return text
		}
	}
	return ""
}

// oneLine makes foreign text safe to show: printable characters, single spaces, at most maxDetail characters.
func oneLine(text string) string {
	var b strings.Builder
	n, space := 0, false
	for _, r := range text {
		if !unicode.IsPrint(r) || r == unicode.ReplacementChar || unicode.IsSpace(r) {
			space = n > 0
			continue
		}
		if space {
			n++
		}
		if n+1 >= maxDetail {
			b.WriteRune('…')
			break
		}
		if space {
			b.WriteByte(' ')
		}
		b.WriteRune(r)
		n, space = n+1, false
	}
	return b.String()
}

// speaks says whether word is our own: one that the contract holds, and hence no patient's name.
func (c Contract) speaks(word string) bool {
	for _, own := range []string{c.OrderField, c.sinceParameter(), c.ConfirmSuccess, c.ConfirmFailure, c.ConfirmContentType, c.ConfirmMethod} {
		if strings.Contains(own, word) {
			return true
		}
	}
	_, ok := c.Query[word]
	return ok
}

// maskQuoted replaces what stands between quotes, which is where servers repeat a value, unless keep knows it.
func maskQuoted(text string, keep func(string) bool) string {
	quotes := map[rune]rune{'"': '"', '`': '`', '“': '”', '«': '»', '\'': '\''}
	var b strings.Builder
	runes := []rune(text)
	for i := 0; i < len(runes); i++ {
		b.WriteRune(runes[i])
		closing, ok := quotes[runes[i]]
		if !ok || runes[i] == '\'' && i > 0 && unicode.IsLetter(runes[i-1]) { // an apostrophe
			continue
		}
		end := slices.Index(runes[i+1:], closing)
		if end < 0 {
			end = len(runes) - i - 1 // cut off, or never closed
		}
		if inside := string(runes[i+1 : i+1+end]); keep(inside) {
			b.WriteString(inside)
		} else if inside != "" {
			b.WriteRune('…')
		}
		if i += 1 + end; i < len(runes) {
			b.WriteRune(closing)
		}
	}
	return b.String()
}
