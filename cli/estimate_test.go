package cli_test

import (
	"testing"
	"time"

	"askara-sync/cli"
)

func TestEstimateText(t *testing.T) {
	tests := []struct {
		documents int
		d         time.Duration
		want      string
	}{
		{12_000, 9*time.Hour + 15*time.Minute, "12,000 documents, about 9 h at Askara's limit"},
		{3_000, 30 * time.Minute, "3,000 documents, about 30 min at Askara's limit"},
		{999, 0, "999 documents"},
		{1_234_567, 100 * time.Hour, "1,234,567 documents, about 100 h at Askara's limit"},
	}
	for _, tt := range tests {
		if got := cli.EstimateText(tt.documents, tt.d); got != tt.want {
			t.Errorf("%d documents in %v: got %q, want %q", tt.documents, tt.d, got, tt.want)
		}
	}
}
