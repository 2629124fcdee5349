package cli

import (
	"fmt"
	"time"
)

// estimateText says it for a person: "12,000 documents, about 9 h at Askara's limit".
func estimateText(documents int, d time.Duration) string {
	text := number(documents) + " documents"
	switch {
	case d <= 0:
		return text
	case d < 90*time.Minute:
		return fmt.Sprintf("%s, about %d min at Askara's limit", text, int(d.Round(time.Minute).Minutes()))
	}
	return fmt.Sprintf("%s, about %d h at Askara's limit", text, int(d.Round(time.Hour).Hours()))
}
