package cli

import (
	"bytes"
	"encoding/json"
	"iter"
	"strings"
)

// maxJSONDepth bounds how deep objects are looked into.
const maxJSONDepth = 32

// jsonLeaves yields the properties of an object that hold no object themselves, by their path of names joined by dots, with the text
// of those that are strings. Arrays are passed over. It goes as far as raw is JSON: of a string that is cut off it yields the beginning.
func jsonLeaves(raw []byte) iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		d := json.NewDecoder(bytes.NewReader(raw))
		d.UseNumber()
		if t, err := d.Token(); err != nil || t != json.Delim('{') {
			return
		}
		walkObject(d, raw, "", 0, yield)
	}
}

// walkObject walks the rest of an object whose brace is read; false ends it all.
func walkObject(d *json.Decoder, raw []byte, path string, depth int, yield func(string, string) bool) bool {
	for d.More() {
		key, err := d.Token()
		name, ok := key.(string)
		if err != nil || !ok || depth > maxJSONDepth {
			return false
		}
		if path != "" {
			name = path + "." + name
		}
		value, err := d.Token()
		if err != nil {
			rest := bytes.TrimLeft(raw[min(d.InputOffset(), int64(len(raw))):], ": \t\r\n")
			if text, ok := strings.CutPrefix(string(rest[:min(len(rest), 512)]), `"`); ok {
				yield(name, text)
			}
			return false
		}
		switch v := value.(type) {
		case json.Delim:
			if v == '{' {
				if !walkObject(d, raw, name, depth+1, yield) {
					return false
				}
				continue
			}
			if !skipArray(d) || !yield(name, "") {
				return false
			}
		case string:
			if !yield(name, v) {
				return false
			}
		default:
			if !yield(name, "") {
				return false
			}
		}
	}
	_, err := d.Token()
	return err == nil
}

// skipArray passes over the rest of an array.
func skipArray(d *json.Decoder) bool {
	for depth := 1; depth > 0; {
		t, err := d.Token()
		if err != nil {
			return false
		}
		switch t {
		case json.Delim('['), json.Delim('{'):
			depth++
		case json.Delim(']'), json.Delim('}'):
			depth--
		}
	}
	return true
}
