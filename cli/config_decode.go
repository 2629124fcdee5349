package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pelletier/go-toml/v2"
)

// The library decodes into plain values and this file puts them into Config, since the library stops at the first value of
// a wrong type and a person wants to hear of all of them at once.

// decode reads TOML into c, whose present values are the defaults, and notes everything that is wrong.
func decode(data []byte, c *Config, f *faults) {
	var tree map[string]any
	if err := toml.Unmarshal(data, &tree); err != nil {
		fault := ConfigFault{Problem: oneLine("not TOML: " + strings.TrimPrefix(err.Error(), "toml: "))}
		if d, ok := errors.AsType[*toml.DecodeError](err); ok {
			fault.Line, _ = d.Position()
		}
		f.list = append(f.list, fault)
		f.broken = true
		return
	}
	f.lines = keyLines(data)
	accounts, ok := tree["account"]
	delete(tree, "account")
	f.decodeTable("", tree, reflect.ValueOf(c).Elem())
	if !ok {
		return
	}
	list, ok := accounts.([]any)
	if !ok {
		f.add("account", "must be written [[account]], one for each login", "")
		return
	}
	for i, item := range list {
		path := fmt.Sprintf("account[%d]", i+1)
		table, ok := item.(map[string]any)
		if !ok {
			f.add(path, "must be written [[account]], one for each login", "")
			continue
		}
		a := Account{Sink: c.Sink} // what the account does not say, [sink] says
		f.decodeTable(path, table, reflect.ValueOf(&a).Elem())
		c.Accounts = append(c.Accounts, a)
	}
}

// decodeTable puts a table's values into the struct's fields of the same tag.
func (f *faults) decodeTable(path string, table map[string]any, into reflect.Value) {
	for _, name := range slices.Sorted(maps.Keys(table)) {
		key := joinKey(path, name)
		field, ok := fieldOf(into, name)
		if !ok {
			f.add(key, "unknown key; the nearest is "+nearestKey(key), "") // its value may be a secret
			continue
		}
		value := table[name]
		if field.Kind() == reflect.Struct {
			if sub, ok := value.(map[string]any); ok {
				f.decodeTable(key, sub, field)
			} else {
				f.add(key, fmt.Sprintf("must be a table, written [%s]", key), "")
			}
			continue
		}
		if err := setField(field, value); err != nil {
			got := show(value)
			if holdsSecretPath(key) {
				got = ""
			}
			f.add(key, err.Error(), got)
		}
	}
}

// setField converts one value.
func setField(field reflect.Value, value any) error {
	text, isText := value.(string)
	switch into := field.Addr().Interface().(type) {
	case *string:
		if !isText {
			return errors.New("must be a text in quotes")
		}
		*into = text
	case *bool:
		b, ok := value.(bool)
		if !ok {
			return errors.New("must be true or false")
		}
		*into = b
	case *int:
		n, ok := value.(int64)
		if !ok || n > math.MaxInt32 || n < math.MinInt32 {
			return errors.New("must be a whole number")
		}
		*into = int(n)
	case *[]int:
		return setNumbers(into, value)
	case *time.Duration:
		return parseText(into, text, ParseDuration)
	case *Size:
		return parseText(into, text, ParseSize)
	case *fs.FileMode:
		return parseText(into, text, parseMode)
	case *[]string:
		return setTexts(into, value)
	case *map[string]string:
		return setTextTable(into, value)
	default:
		return fmt.Errorf("cannot be read: no conversion to %s", field.Type())
	}
	return nil
}

func parseText[T any](into *T, text string, parse func(string) (T, error)) error {
	v, err := parse(text)
	if err == nil {
		*into = v
	}
	return err
}

func setTexts(into *[]string, value any) error {
	list, ok := value.([]any)
	texts := []string{}
	for _, item := range list {
		text, isText := item.(string)
		ok = ok && isText
		texts = append(texts, text)
	}
	if !ok {
		return errors.New(`must be a list of texts such as ["one", "two"]`)
	}
	*into = texts
	return nil
}

func setNumbers(into *[]int, value any) error {
	list, ok := value.([]any)
	numbers := []int{}
	for _, item := range list {
		n, isNumber := item.(int64)
		ok = ok && isNumber && n <= math.MaxInt32 && n >= math.MinInt32
		numbers = append(numbers, int(n))
	}
	if !ok {
		return errors.New("must be a list of whole numbers such as [404, 409]")
	}
	*into = numbers
	return nil
}

func setTextTable(into *map[string]string, value any) error {
	table, ok := value.(map[string]any)
	texts := map[string]string{}
	for k, item := range table {
		text, isText := item.(string)
		ok = ok && isText
		texts[k] = text
	}
	if !ok {
		return errors.New(`must be a table of texts such as { key = "value" }`)
	}
	*into = texts
	return nil
}

// fieldOf finds the field whose tag is name.
func fieldOf(v reflect.Value, name string) (reflect.Value, bool) {
	for i := range v.NumField() {
		if v.Type().Field(i).Tag.Get("toml") == name && name != "" {
			return v.Field(i), true
		}
	}
	return reflect.Value{}, false
}

// show writes a value for a person.
func show(value any) string {
	switch v := value.(type) {
	case string:
		return quote(v)
	case []any:
		return "a list"
	case map[string]any:
		return "a table"
	case float64:
		return strconv.FormatFloat(v, 'g', -1, 64)
	default:
		return fmt.Sprint(v)
	}
}

// holdsSecretPath says that the key names a file with a secret. People paste the secret itself there: it is never shown.
func holdsSecretPath(key string) bool {
	return strings.HasSuffix(key, "client_secret_file") || strings.HasSuffix(key, "dsn_file") || strings.HasSuffix(key, "ping_url")
}
