package sandbox

import (
	"fmt"
	"math/rand/v2"
	"time"
)

// Everybody here is made up.
var (
	firstNames = []struct{ name, gender string }{
		{"Élodie", "female"}, {"François", "male"}, {"Zoé", "female"}, {"Jérôme", "male"}, {"Anaïs", "female"}, {"Loïc", "male"},
		{"Maëlle", "female"}, {"Benoît", "male"}, {"Hélène", "female"}, {"Gaëtan", "male"}, {"Inès", "female"}, {"Théo", "male"},
		{"Marie-Laure", "female"}, {"Jean-Noël", "male"}, {"Agnès", "female"}, {"Rémi", "male"}, {"Noémie", "female"},
		{"Stéphane", "male"}, {"Chloé", "female"}, {"Cédric", "male"}, {"Françoise", "female"}, {"Mickaël", "male"},
	}
	lastNames = []string{"Lefèvre", "Garnier", "Besançon", "Maréchal", "Le Goff", "Périer", "d’Astier", "Crémieux", "Hénault",
		"Rivière", "Lacôte", "Boisseau", "Étienne", "Muñoz", "Chevallier", "Guérin", "Saint-Aubin", "Françoy", "Delaunay", "Prévost",
		"Noël", "Vasseur", "Bœuf", "Grandjean", "Thévenin", "Morel", "Dubreuil", "Cœurdevey", "Fleury", "Aubépin"}
	doctors = []struct{ first, last, title string }{
		{"Claire", "Fontaine", "Médecine générale"}, {"Étienne", "Marchal", "Cardiologie"}, {"Noémie", "Bérard", "Chirurgie dentaire"},
		{"Luc", "Hamelin", "Dermatologie"}, {"Solène", "Kerbrat", "Rhumatologie"},
	}
	clinic = Organization{UUID: "3d1f7a52-0c7e-4a55-9d1b-6f0a8a5b2c11", Name: "Clinique des Tilleuls"}
	types  = []string{"consultation_letter", "prescription", "estimate"}
	titles = map[string][]string{
		"consultation_letter": {"Lettre de consultation", "Compte rendu de consultation", "Lettre au médecin traitant"},
		"prescription":        {"Ordonnance", "Ordonnance de biologie", "Renouvellement d’ordonnance"},
		"estimate":            {"Devis dentaire", "Devis – soins prothétiques", "Plan de traitement et devis"},
	}
)

// cast makes people and titles up.
type cast struct {
	rng   *rand.Rand
	uuids *rand.ChaCha8
}

func newCast(seed uint64) *cast {
	return &cast{rng: rand.New(seeded(seed, "people")), uuids: seeded(seed, "uuids")}
}

// complete fills what d leaves out.
func (c *cast) complete(d *Document, uuids *rand.ChaCha8, now time.Time) {
	if d.UUID == "" {
		d.UUID = newUUID(uuids)
	}
	orString(&d.Type, types[c.rng.IntN(len(types))])
	orString(&d.Status, "validated")
	if d.Title == "" {
		choice := titles[d.Type]
		if choice == nil {
			choice = titles[types[0]]
		}
		d.Title = choice[c.rng.IntN(len(choice))]
	}
	if d.UpdatedAt.IsZero() {
		d.UpdatedAt = now
	}
	d.UpdatedAt = d.UpdatedAt.UTC()
	if d.ValidatedAt.IsZero() && d.Status == "validated" {
		d.ValidatedAt = d.UpdatedAt
	}
	if d.CreatedAt.IsZero() {
		d.CreatedAt = d.UpdatedAt.Add(-time.Duration(1+c.rng.IntN(55)) * time.Minute)
	}
	if d.Patient == (Patient{}) {
		d.Patient = c.patient()
	}
	if d.User == (User{}) {
		d.User = c.user(d.Type)
	}
	if d.Organization == (Organization{}) {
		d.Organization = clinic
	}
}

func (c *cast) patient() Patient {
	f := firstNames[c.rng.IntN(len(firstNames))]
	born := time.Date(1938+c.rng.IntN(80), time.Month(1+c.rng.IntN(12)), 1+c.rng.IntN(28), 0, 0, 0, 0, time.UTC)
	return Patient{UUID: newUUID(c.uuids), FirstName: f.name, LastName: lastNames[c.rng.IntN(len(lastNames))], Gender: f.gender,
		ExternalID: fmt.Sprintf("P%06d", c.rng.IntN(1_000_000)), DateOfBirth: born}
}

func (c *cast) user(docType string) User {
	i := c.rng.IntN(len(doctors))
	if docType == "estimate" {
		i = 2 // the dentist
	}
	d := doctors[i]
	return User{UUID: fmt.Sprintf("7c0ffee0-0000-4000-8000-%012d", i+1), FirstName: d.first, LastName: d.last,
		RPPS: fmt.Sprintf("1010%07d", 1_234_567+i*111_111)}
}
