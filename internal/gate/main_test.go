package main

import (
	"bytes"
	"strings"
	"testing"
)

func TestReport(t *testing.T) {
	const pass = `{"Action":"pass","Package":"a","Test":"T"}` + "\n"
	const skip = `{"Action":"skip","Package":"a","Test":"T"}` + "\n"
	tests := map[string]struct {
		in   string
		code int
		want string
	}{
		"all well":                      {pass + `{"Action":"pass","Package":"a"}`, 0, "1 passed, 0 failed, 0 skipped\n"},
		"skipped here, passed there":    {skip + pass, 0, "1 passed, 0 failed, 1 skipped\n"},
		"skipped everywhere":            {skip + `{"Action":"pass","Package":"a","Test":"U"}`, 1, "never ran: a T"},
		"same name in another package":  {skip + `{"Action":"pass","Package":"b","Test":"T"}`, 1, "never ran: a T"},
		"failed":                        {pass + `{"Action":"output","Package":"a","Test":"U","Output":"why\n"}` + "\n" + `{"Action":"fail","Package":"a","Test":"U"}`, 1, "why\n1 passed, 1 failed"},
		"a package that does not build": {pass + `{"Action":"fail","Package":"b"}`, 1, "failed outside of a test: b"},
		"no test at all":                {"go: no such tool\n", 1, "0 passed, 0 failed"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			sum := newTally(&out)
			sum.read(strings.NewReader(tt.in))
			if code := sum.report(); code != tt.code || !strings.Contains(out.String(), tt.want) {
				t.Errorf("got exit code %d and\n%swant %d and %q", code, out.String(), tt.code, tt.want)
			}
		})
	}
}
