package askara_test

import (
	"strings"
	"testing"

	"askara-sync/askara"
)

func TestDefaultContractIsValid(t *testing.T) {
	for _, err := range askara.DefaultContract().Validate() {
		t.Error(err)
	}
}

func TestContractFaults(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(*askara.Contract)
		want   []string // beginnings of the faults, in order
	}{
		{"empty path", func(c *askara.Contract) { c.TokenPath = "" }, []string{"api.contract.token_path: must be a path"}},
		{"absolute URL", func(c *askara.Contract) { c.DevicePath = "https://evil.example/x" }, []string{"api.contract.device_path: "}},
		{"another host", func(c *askara.Contract) { c.DocumentsPath = "//evil.example/x" }, []string{"api.contract.documents_path: "}},
		{"climbing", func(c *askara.Contract) { c.DocumentsPath = "/../admin" }, []string{`api.contract.documents_path: must not hold ".."`}},
		{"escaped climbing", func(c *askara.Contract) { c.DocumentsPath = "/%2e%2e/admin" },
			[]string{`api.contract.documents_path: must not hold ".."`}},
		{"fragment", func(c *askara.Contract) { c.DocumentsPath = "/documents#x" }, []string{`api.contract.documents_path: must not hold`}},
		{"space", func(c *askara.Contract) { c.DocumentsPath = "/my documents" }, []string{"api.contract.documents_path: "}},
		{"uuid in a list", func(c *askara.Contract) { c.DocumentsPath = "/documents/{uuid}" },
			[]string{"api.contract.documents_path: must not hold {uuid}"}},
		{"no uuid", func(c *askara.Contract) { c.DocumentPath = "/documents" }, []string{"api.contract.document_path: must hold {uuid}"}},
		{"two uuids", func(c *askara.Contract) { c.PDFPath = "/{uuid}/{uuid}" }, []string{"api.contract.pdf_path: must hold {uuid}"}},
		{"unknown placeholder", func(c *askara.Contract) { c.PDFPath = "/{uuid}/{id}" }, []string{"api.contract.pdf_path: {uuid} is the only"}},
		{"link instead of a path", func(c *askara.Contract) { c.PDFPath = "" }, nil},
		{"link without a field", func(c *askara.Contract) { c.PDFPath, c.LinkFields = "", nil }, []string{"api.contract.link_fields: "}},
		{"query in a path", func(c *askara.Contract) { c.PDFPath = "/documents/{uuid}?format=pdf" }, nil},
		{"statuses", func(c *askara.Contract) { c.NotReadyStatus = []int{200, 404, 503} },
			[]string{"api.contract.not_ready_status: ", "api.contract.not_ready_status: "}},
		{"order field", func(c *askara.Contract) { c.OrderField = "updatedAt]=x" }, []string{"api.contract.order_field: "}},
		{"no since", func(c *askara.Contract) { c.SinceParameter = "" }, []string{"api.contract.since_parameter: "}},
		{"page fixed", func(c *askara.Contract) { c.Query = map[string]string{"page": "1"} }, []string{"api.contract.query: page"}},
		{"bound fixed", func(c *askara.Contract) { c.Query = map[string]string{"updatedAt[gte]": "x"} }, []string{"api.contract.query: updatedAt"}},
		{"items per page", func(c *askara.Contract) { c.Query = map[string]string{"itemsPerPage": "0"} }, []string{"api.contract.query: items"}},
		{"no ready status", func(c *askara.Contract) { c.ReadyStatus = nil }, []string{"api.contract.ready_status: "}},
		{"method", func(c *askara.Contract) { c.ConfirmMethod = "DELETE" }, []string{"api.contract.confirm_method: "}},
		{"content type", func(c *askara.Contract) { c.ConfirmContentType = "text/plain" }, []string{"api.contract.confirm_content_type: "}},
		{"success not JSON", func(c *askara.Contract) { c.ConfirmSuccess = "{" }, []string{"api.contract.confirm_success: must be JSON"}},
		{"success with a reason", func(c *askara.Contract) { c.ConfirmSuccess = `{"a":"{reason}"}` }, []string{"api.contract.confirm_success: a success"}},
		{"reason outside a string", func(c *askara.Contract) { c.ConfirmFailure = `{"a":{reason}}` }, []string{"api.contract.confirm_failure: "}},
		{"uuid in the bodies only", func(c *askara.Contract) {
			c.ConfirmPath = "/synchronizations"
			c.ConfirmSuccess, c.ConfirmFailure = `{"document":"{uuid}"}`, `{"document":"{uuid}","error":"{reason}"}`
		}, nil},
		{"uuid nowhere", func(c *askara.Contract) { c.ConfirmPath = "/synchronizations" }, []string{"api.contract.confirm_path: "}},
		{"confirm off", func(c *askara.Contract) { c.Confirm, c.ConfirmPath, c.ConfirmSuccess = false, "", "" }, nil},
		{"all at once", func(c *askara.Contract) { *c = askara.Contract{Confirm: true} }, []string{
			"api.contract.token_path", "api.contract.device_path", "api.contract.documents_path", "api.contract.document_path",
			"api.contract.link_fields", "api.contract.order_field", "api.contract.since_parameter", "api.contract.ready_status",
			"api.contract.confirm_method", "api.contract.confirm_path", "api.contract.confirm_content_type",
			"api.contract.confirm_success", "api.contract.confirm_failure",
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := askara.DefaultContract()
			test.change(&c)
			got := c.Validate()
			if len(got) != len(test.want) {
				t.Fatalf("got %d faults %v, want %d", len(got), got, len(test.want))
			}
			for i, err := range got {
				if !strings.HasPrefix(err.Error(), test.want[i]) || !strings.Contains(err.Error(), "(got ") {
					t.Errorf("got fault %q, want %q… with what was got", err, test.want[i])
				}
			}
		})
	}
}
