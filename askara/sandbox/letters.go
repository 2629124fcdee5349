package sandbox

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// setInType writes the page of the document's type.
func setInType(d *Document, revision int) string {
	c := &canvas{}
	c.letterhead(d)
	switch {
	case strings.Contains(d.Type, "prescription"):
		c.prescription(d)
	case strings.Contains(d.Type, "estimate"), strings.Contains(d.Type, "devis"):
		c.estimate(d)
	default:
		c.letter(d)
	}
	c.footer(d, revision)
	return string(c.b)
}

// note is the shortest page: the same facts in five lines.
func note(d *Document, revision int) string {
	c := &canvas{}
	c.set(bold, 14, black)
	c.text(margin, 760, c.clip(headline(d), measure))
	c.set(regular, 11, black)
	c.text(margin, 730, c.clip(patientLine(d), measure))
	c.text(margin, 712, c.clip("Dr "+d.User.FirstName+" "+d.User.LastName+", le "+frenchDate(d.day()), measure))
	c.text(margin, 694, "Version "+strconv.Itoa(revision))
	return string(c.b)
}

// headline names the kind of document; never its title, which may be anything.
func headline(d *Document) string {
	switch {
	case strings.Contains(d.Type, "prescription"):
		return "Ordonnance"
	case strings.Contains(d.Type, "estimate"), strings.Contains(d.Type, "devis"):
		return "Devis dentaire"
	}
	return "Lettre de consultation"
}

var months = [...]string{"janvier", "février", "mars", "avril", "mai", "juin", "juillet", "août", "septembre", "octobre", "novembre", "décembre"}

func frenchDate(t time.Time) string {
	day := strconv.Itoa(t.Day())
	if t.Day() == 1 {
		day = "1er"
	}
	return day + " " + months[t.Month()-1] + " " + strconv.Itoa(t.Year())
}

// patientName is as a letter addresses the patient.
func patientName(d *Document) string {
	title := ""
	switch d.Patient.Gender {
	case "female":
		title = "Mme "
	case "male":
		title = "M. "
	}
	return strings.TrimSpace(title + d.Patient.FirstName + " " + d.Patient.LastName)
}

func patientLine(d *Document) string {
	born := ""
	if t := d.Patient.DateOfBirth; !t.IsZero() {
		born = ", né(e) le "
		switch d.Patient.Gender {
		case "female":
			born = ", née le "
		case "male":
			born = ", né le "
		}
		born += frenchDate(t)
	}
	return patientName(d) + born
}

func specialty(d *Document) string {
	for _, doc := range doctors {
		if doc.last == d.User.LastName {
			return doc.title
		}
	}
	return doctors[0].title
}

func (c *canvas) letterhead(d *Document) {
	c.box(0, 833, pageWidth, 9, teal)
	c.set(bold, 17, teal)
	c.text(margin, 785, c.clip(d.Organization.Name, 260))
	c.set(regular, 9, grey)
	c.text(margin, 770, "14, allée des Tilleuls · 44000 Nantes")
	c.text(margin, 758, "Tél. 02 99 00 00 14 · secretariat@tilleuls.example")
	right := pageWidth - margin
	c.set(bold, 11, black)
	c.right(right, 787, c.clip("Dr "+d.User.FirstName+" "+d.User.LastName, 200))
	c.set(regular, 9, grey)
	c.right(right, 772, specialty(d))
	if d.User.RPPS != "" {
		c.right(right, 760, c.clip("RPPS "+d.User.RPPS, 200))
	}
	c.rule(margin, 744, right, 0.6, teal)
	c.set(regular, 10.5, black)
	c.right(right, 716, "Nantes, le "+frenchDate(d.day()))
}

func (c *canvas) footer(d *Document, revision int) {
	right := pageWidth - margin
	c.rule(margin, 58, right, 0.4, grey)
	c.set(regular, 7.5, grey)
	c.text(margin, 45, c.clip("Document "+d.UUID+" · version "+strconv.Itoa(revision), 360))
	c.right(right, 45, "Page 1 sur 1")
	c.text(margin, 34, "Document fictif produit par le bac à sable. Personnes, faits et montants sont inventés.")
}

// patientBox shows whom the document is about.
func (c *canvas) patientBox(d *Document) {
	c.box(margin, 634, measure, 44, pale)
	c.set(regular, 8.5, grey)
	c.text(margin+12, 662, "PATIENT")
	c.set(bold, 11.5, black)
	c.text(margin+12, 645, c.clip(patientLine(d), measure-150))
	if d.Patient.ExternalID != "" {
		c.set(regular, 9, grey)
		c.right(pageWidth-margin-12, 645, c.clip("Dossier "+d.Patient.ExternalID, 120))
	}
}

func (c *canvas) signature(d *Document, y float64) {
	x := pageWidth - margin - 170
	c.set(regular, 10.5, black)
	c.text(x, y, c.clip("Dr "+d.User.FirstName+" "+d.User.LastName, 170))
	// a flourish in four curves, so that the page looks signed
	c.b = fmt.Appendf(c.b, "0.10 0.18 0.45 RG 1.1 w 1 J %.1f %.1f m %.1f %.1f %.1f %.1f %.1f %.1f c %.1f %.1f %.1f %.1f %.1f %.1f c "+
		"%.1f %.1f %.1f %.1f %.1f %.1f c S\n", x+4, y-38, x+18, y+4, x+34, y-8, x+26, y-36, x+20, y-56, x+44, y-8, x+58, y-30,
		x+70, y-48, x+84, y-14, x+124, y-26)
}

// letterTexts are by specialty; %s is the patient.
var letterTexts = map[string][]string{
	"Médecine générale": {
		"Je vous remercie de m’avoir adressé %s, que je reçois ce jour pour une asthénie évoluant depuis six semaines, sans fièvre ni " +
			"amaigrissement.",
		"L’examen est rassurant : tension artérielle à 124/76 mmHg, fréquence cardiaque à 68/min, auscultation cardio-pulmonaire sans " +
			"particularité, abdomen souple, aires ganglionnaires libres.",
		"Le bilan biologique retrouve une ferritine à 14 µg/L et une hémoglobine à 11,8 g/dL, évoquant une carence martiale. Le reste de la " +
			"numération, la TSH et la créatininémie sont normaux.",
		"Je propose une supplémentation en fer pendant trois mois, avec un contrôle de la ferritine à son terme, et quelques conseils " +
			"diététiques remis par écrit.",
	},
	"Cardiologie": {
		"J’ai vu en consultation %s pour le suivi d’une hypertension artérielle traitée depuis 2019, sans douleur thoracique ni dyspnée d’effort.",
		"La tension artérielle est à 132/78 mmHg aux deux bras. L’auscultation est régulière, sans souffle. Il n’y a pas de signe d’insuffisance cardiaque.",
		"L’électrocardiogramme s’inscrit en rythme sinusal à 64/min, sans trouble de la repolarisation. L’échographie retrouve une fraction " +
			"d’éjection à 62 % et des cavités de taille normale.",
		"L’équilibre est satisfaisant. Je laisse le traitement inchangé et propose une nouvelle consultation dans un an, plus tôt en cas de besoin.",
	},
	"Dermatologie": {
		"Je vous remercie de votre confiance pour %s, pour un contrôle annuel de nævus et une lésion récente de l’avant-bras gauche.",
		"L’examen du tégument entier, avec dermoscopie, ne montre pas de lésion suspecte. La lésion de l’avant-bras correspond à une kératose " +
			"séborrhéique de 6 mm, bénigne, qui ne demande pas d’exérèse.",
		"J’ai rappelé les règles de protection solaire et l’intérêt de l’auto-examen tous les trois mois.",
		"Un contrôle est prévu dans douze mois. Bien entendu, je reverrai le patient sans délai si une lésion se modifie.",
	},
}

func (c *canvas) letter(d *Document) {
	c.set(regular, 10.5, black)
	for i, line := range []string{"Docteur Armelle Quéméner", "Maison de santé du Port", "44600 Saint-Nazaire"} {
		c.text(margin, 716-float64(i)*14, line)
	}
	c.set(bold, 15, black)
	c.text(margin, 640, headline(d))
	c.set(bold, 10.5, teal)
	c.text(margin, 620, c.clip("Concerne : "+patientLine(d), measure))
	texts := letterTexts[specialty(d)]
	if texts == nil {
		texts = letterTexts["Médecine générale"]
	}
	c.set(regular, 10.5, black)
	c.y = 588
	c.paragraph(margin, measure, "Chère consœur,")
	c.y -= 7
	name := patientName(d)
	if r := []rune(name); len(r) > 60 {
		name = string(r[:60]) + "…"
	}
	for _, text := range texts {
		c.paragraph(margin, measure, strings.Replace(text, "%s", name, 1))
		c.y -= 7
	}
	c.paragraph(margin, measure, "Je reste à votre disposition et vous prie de croire, chère consœur, à l’assurance de mes sentiments confraternels les meilleurs.")
	c.signature(d, c.y-28)
}

func (c *canvas) prescription(d *Document) {
	c.set(bold, 17, black)
	c.text(margin, 698, headline(d))
	c.patientBox(d)
	c.y = 598
	for i, line := range [][2]string{
		{"Paracétamol 1 g, comprimé", "1 comprimé en cas de douleur, à renouveler après 6 heures si besoin, sans dépasser 3 comprimés par jour, pendant 5 jours."},
		{"Amoxicilline 1 g, comprimé dispersible", "1 comprimé matin et soir, au cours des repas, pendant 6 jours."},
		{"Solution de chlorure de sodium à 0,9 %, unidoses", "Lavage de nez 4 fois par jour, pendant 8 jours."},
		{"Vitamine D3 (cholécalciférol) 50 000 UI, ampoule buvable", "1 ampoule par mois, pendant 3 mois."},
	} {
		c.set(bold, 11, teal)
		c.text(margin, c.y, strconv.Itoa(i+1)+".")
		c.set(bold, 11, black)
		c.paragraph(margin+22, measure-22, line[0])
		c.set(regular, 10.5, black)
		c.paragraph(margin+22, measure-22, line[1])
		c.y -= 14
	}
	c.set(regular, 9.5, grey)
	c.text(margin, c.y-4, "Ordonnance non renouvelable. Quatre lignes prescrites.")
	c.signature(d, c.y-52)
}

// act is one line of an estimate; amounts are in cents.
type act struct {
	tooth, name, code string
	fee, covered      int
}

var acts = []act{
	{"—", "Détartrage complet sus- et sous-gingival", "HBJD001", 43_38, 30_37},
	{"36", "Dévitalisation d’une deuxième molaire", "HBFD021", 110_00, 57_34},
	{"36", "Inlay-core sous couronne", "HBLD090", 175_00, 63_00},
	{"36", "Couronne céramo-monolithique en zircone", "HBLD073", 440_00, 84_00},
	{"14", "Restauration composite, deux faces", "HBMD050", 65_00, 28_37},
	{"24–26", "Bridge céramo-métallique de trois éléments", "HBLD023", 1_465_00, 195_65},
}

func (c *canvas) estimate(d *Document) {
	c.set(bold, 17, black)
	c.text(margin, 698, headline(d))
	c.patientBox(d)
	right := pageWidth - margin
	columns := []float64{right - 160, right - 80, right - 10}
	c.box(margin, 590, measure, 24, teal)
	c.set(bold, 8.5, "1 1 1")
	c.text(margin+10, 599, "Dent")
	c.text(margin+52, 599, "Acte")
	for i, title := range []string{"Honoraires", "Base AMO", "À charge"} {
		c.right(columns[i], 599, title)
	}
	fee, covered := 0, 0
	y := 572.0
	for i, a := range acts {
		if i%2 == 1 {
			c.box(margin, y-15, measure, 30, pale)
		}
		c.set(regular, 9.5, black)
		c.text(margin+10, y, a.tooth)
		c.text(margin+52, y, a.name)
		for j, amount := range []int{a.fee, a.covered, a.fee - a.covered} {
			c.right(columns[j], y, euros(amount))
		}
		c.set(regular, 7.5, grey)
		c.text(margin+52, y-10, a.code)
		fee, covered, y = fee+a.fee, covered+a.covered, y-30
	}
	c.rule(margin, y+12, right, 0.8, teal)
	c.set(bold, 10.5, black)
	c.text(margin+10, y-6, "Total")
	for j, amount := range []int{fee, covered, fee - covered} {
		c.right(columns[j], y-6, euros(amount))
	}
	c.y = y - 44
	c.set(regular, 9.5, black)
	c.paragraph(margin, measure, "Devis valable six mois à compter du "+frenchDate(d.day())+". Les montants pris en charge sont donnés à titre indicatif, avant "+
		"intervention de votre complémentaire. Les prothèses sont fabriquées en France ; leur traçabilité vous sera remise.")
	c.y -= 22
	c.set(regular, 9.5, grey)
	c.text(margin, c.y, "Bon pour accord, date et signature du patient :")
	c.signature(d, c.y)
}

// euros writes an amount as French writes it.
func euros(cents int) string {
	whole := strconv.Itoa(cents / 100)
	for i := len(whole) - 3; i > 0; i -= 3 {
		whole = whole[:i] + "\u00a0" + whole[i:]
	}
	return fmt.Sprintf("%s,%02d\u00a0€", whole, cents%100)
}
