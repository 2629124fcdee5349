package sandbox

import "strings"

// HostileTitles are titles that no file may be named after as they are: they climb out of folders, hide what follows them, are
// devices on Windows, are too long, or differ in nothing but case.
func HostileTitles() []string {
	return []string{
		"../../../../etc/cron.d/askara", `..\..\Windows\System32\drivers\etc\hosts`, "/etc/passwd", `\\server\share\x`, "C:\\x.pdf", "C:x",
		".", "..", "...", "/", "///", `\`, ".pdf", ".hidden", "-rf", "~root", "$(reboot)", "`reboot`", "a;b|c&d>e<f", "%2e%2e%2fx", "%s%n",
		"CON", "con", "PRN.pdf", "AUX", "NUL", "nul.tar.gz", "COM1", "LPT9.pdf", "COM¹", "CONIN$",
		"a<b>c:d\"e|f?g*h", "trailing dot.", "trailing space ", " leading space", "  ", "\t", "tab\there", "line\nbreak", "cr\rlf\r\n",
		"nul\x00byte", "escape\x1b[31mred\x07", "delete\x7f", "c1\u0085\u009b31m", "invalid\xff\xfe utf-8", "cut rune\xe2\x82",
		"exe\u202efdp.scr", "\u2066isolated\u2069", "zero\u200bwidth\u200d\ufeff", "line\u2028separator", "soft\u00adhyphen",
		"emoji 🦷👩🏽‍⚕️🇫🇷", "combining e\u0301 and é", "zalgo Z\u0334\u0353a\u0336\u0321l\u0335\u0322g\u0335\u0323o", "ﬁn de ſoins", "Ω≈ç√∫ 病歴 قلب",
		strings.Repeat("Très long ", 500), strings.Repeat("é", 5000), strings.Repeat("🦷", 1250), strings.Repeat("../", 1500), strings.Repeat("a", 255),
		"Compte Rendu", "compte rendu", "COMPTE RENDU", "STRASSE", "straße", "İstanbul", "istanbul", "\u212aelvin", "kelvin",
		"desktop.ini", "Thumbs.db", "lost+found", "x~1.pdf", "file:///etc/passwd", "<script>alert(1)</script>", "'; drop table document; --",
		"{{.Patient.LastName}}", `{"json":true}`, "null", "undefined", "true", "0",
	}
}

// AddHostile adds one document for each hostile title and one for each as the patient's name, and returns their uuids. Both
// kinds share patient, day and moment as far as they can, so that names collide.
func (s *Server) AddHostile() []string {
	var uuids []string
	now := s.now()
	patient := Patient{UUID: "a1b2c3d4-0000-4000-8000-000000000001", FirstName: "Élodie", LastName: "Lefèvre", Gender: "female"}
	for _, title := range HostileTitles() {
		uuids = append(uuids, s.AddDocument(Document{Title: title, Patient: patient, UpdatedAt: now}))
		named := patient
		named.FirstName, named.LastName = title, title
		uuids = append(uuids, s.AddDocument(Document{Title: "Ordonnance", Patient: named, UpdatedAt: now}))
	}
	return uuids
}
