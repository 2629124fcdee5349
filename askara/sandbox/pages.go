package sandbox

import (
	"bytes"
	"html/template"
	"net/http"
	"strings"
)

// pageData is what the one template shows.
type pageData struct {
	Words       words
	Title, Text string
	Fault       string
	Scopes      []string
	Action      string // of the form; "" for a page without one
	Ask         string // the authorization's id
	Code        string
	AskCode     bool
}

// words are the texts in one language.
type words struct {
	Lang, Home, HomeText                         string
	Consent, ConsentText, ScopesTitle            string
	Device, DeviceText, CodeLabel                string
	Approve, Deny                                string
	Approved, ApprovedText, Denied, DeniedText   string
	Wrong, Gone, NoCode, Sandbox                 string
	ScopeProfile, ScopeOrganization, ScopeOthers string
}

var french = words{
	Lang: "fr", Home: "Askara (bac à sable)", HomeText: "Ce serveur imite Askara sur votre machine. Rien ici n’est réel.",
	Consent: "Autoriser l’accès ?", ConsentText: "Le logiciel de la clinique demande à relever vos documents validés.",
	ScopesTitle: "Il pourra :", Device: "Relier un logiciel", DeviceText: "Saisissez le code affiché par le logiciel de la clinique.",
	CodeLabel: "Code", Approve: "Autoriser", Deny: "Refuser",
	Approved: "Accès autorisé", ApprovedText: "Vous pouvez fermer cette page ; le logiciel continue de lui-même.",
	Denied: "Accès refusé", DeniedText: "Le logiciel n’a reçu aucun accès.",
	Wrong: "Demande refusée", Gone: "Cette demande n’existe plus. Recommencez depuis le logiciel.",
	NoCode: "Ce code est inconnu, déjà utilisé ou expiré.", Sandbox: "Bac à sable – aucune donnée réelle",
	ScopeProfile: "voir votre nom et votre adresse", ScopeOrganization: "voir vos organisations", ScopeOthers: "accéder à : ",
}

var english = words{
	Lang: "en", Home: "Askara (sandbox)", HomeText: "This server imitates Askara on your machine. Nothing here is real.",
	Consent: "Allow access?", ConsentText: "The clinic’s software asks to fetch your validated documents.",
	ScopesTitle: "It will be able to:", Device: "Connect a program", DeviceText: "Enter the code that the clinic’s software shows.",
	CodeLabel: "Code", Approve: "Allow", Deny: "Refuse",
	Approved: "Access allowed", ApprovedText: "You can close this page; the program goes on by itself.",
	Denied: "Access refused", DeniedText: "The program was given no access.",
	Wrong: "Request refused", Gone: "This request is gone. Start again from the program.",
	NoCode: "This code is unknown, used or expired.", Sandbox: "Sandbox – no real data",
	ScopeProfile: "see your name and address", ScopeOrganization: "see your organizations", ScopeOthers: "access: ",
}

// words chooses the language: English where the browser prefers it, else French.
func (x *exchange) words() words {
	accept := strings.ToLower(x.r.Header.Get("Accept-Language"))
	fr, en := strings.Index(accept, "fr"), strings.Index(accept, "en")
	if en >= 0 && (fr < 0 || en < fr) {
		return english
	}
	return french
}

// Scope is a scope in words.
func (w words) Scope(scope string) string {
	switch scope {
	case "profile":
		return w.ScopeProfile
	case "organization":
		return w.ScopeOrganization
	}
	return w.ScopeOthers + scope
}

var pageTemplate = template.Must(template.New("page").Parse(`<!DOCTYPE html>
<html lang="{{.Words.Lang}}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{.Title}}</title>
<style>
:root { color-scheme: light dark; --ink: #16302b; --paper: #fff; --back: #e8f0ee; --line: #c9d8d4; --main: #0b7a63; --bad: #a52a2a }
@media (prefers-color-scheme: dark) { :root { --ink: #e4efec; --paper: #1a2624; --back: #101917; --line: #33463f; --main: #2fb193; --bad: #ef8a8a } }
* { box-sizing: border-box }
body { margin: 0; min-height: 100vh; display: grid; place-items: center; background: var(--back); color: var(--ink);
  font: 17px/1.5 system-ui, "Segoe UI", "Liberation Sans", sans-serif }
main { width: min(27rem, calc(100vw - 2rem)); padding: 2.2rem 2.2rem 1.6rem; background: var(--paper); border-radius: 1rem;
  border: 1px solid var(--line); box-shadow: 0 12px 40px #0b2a2414 }
.mark { display: flex; align-items: center; gap: .6rem; font-weight: 600; letter-spacing: .02em; color: var(--main) }
.mark span { width: 1.7rem; height: 1.7rem; border-radius: .5rem; background: var(--main); color: var(--paper); display: grid; place-items: center }
h1 { font-size: 1.5rem; line-height: 1.25; margin: 1.3rem 0 .4rem }
p { margin: .3rem 0 1rem }
ul { margin: 0 0 1.4rem; padding-left: 1.2rem }
label { display: block; font-size: .9rem; margin-bottom: .3rem }
input[type=text] { width: 100%; padding: .7rem .8rem; margin-bottom: 1.2rem; font: 1.4rem ui-monospace, "Liberation Mono", monospace;
  letter-spacing: .18em; text-transform: uppercase; text-align: center; color: inherit; background: transparent;
  border: 1px solid var(--line); border-radius: .6rem }
.buttons { display: flex; gap: .7rem }
button { flex: 1; padding: .75rem; font: inherit; font-weight: 600; border-radius: .6rem; border: 1px solid var(--main); cursor: pointer }
#approve { background: var(--main); color: var(--paper) }
#deny { background: transparent; color: var(--main) }
button:focus-visible, input:focus-visible { outline: 3px solid #f2b544; outline-offset: 2px }
.fault { color: var(--bad); font-weight: 600 }
footer { margin-top: 1.6rem; padding-top: .9rem; border-top: 1px solid var(--line); font-size: .82rem; opacity: .75 }
</style>
</head>
<body>
<main>
<div class="mark"><span>A</span>Askara</div>
<h1>{{.Title}}</h1>
<p>{{.Text}}</p>
{{with .Fault}}<p class="fault" role="alert">{{.}}</p>{{end}}
{{if .Action}}<form method="post" action="{{.Action}}">
{{if .Scopes}}<p>{{.Words.ScopesTitle}}</p><ul>{{range .Scopes}}<li>{{$.Words.Scope .}}</li>{{end}}</ul>{{end}}
{{if .Ask}}<input type="hidden" name="ask" value="{{.Ask}}">{{end}}
{{if .AskCode}}<label for="user_code">{{.Words.CodeLabel}}</label>
<input type="text" id="user_code" name="user_code" value="{{.Code}}" autocomplete="off" autocapitalize="characters" spellcheck="false" required>{{end}}
<div class="buttons">
<button id="approve" name="decision" value="approve">{{.Words.Approve}}</button>
<button id="deny" name="decision" value="deny" formnovalidate>{{.Words.Deny}}</button>
</div>
</form>{{end}}
<footer>{{.Words.Sandbox}}</footer>
</main>
</body>
</html>
`))

// render shows a page.
func render(x *exchange, status int, d pageData) {
	d.Words = x.words()
	var b bytes.Buffer
	if err := pageTemplate.Execute(&b, d); err != nil {
		http.Error(x.w, err.Error(), http.StatusInternalServerError)
		return
	}
	x.w.Header().Set("X-Frame-Options", "DENY")
	send(x.w, status, "text/html; charset=utf-8", b.Bytes())
}
