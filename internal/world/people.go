package world

import (
	"iter"
	"slices"

	"github.com/shopspring/decimal"

	"github.com/dibs-deals/dibs/internal/deal"
)

// People yields the vendor's staff: who decides escalations, who owns accounts, who answers for queues. One is away,
// until a day far ahead.
func People() iter.Seq[*deal.Person] {
	return func(yield func(*deal.Person) bool) {
		for _, p := range staff {
			person := &deal.Person{ID: p.id, Name: p.name, Email: p.mail + "@vendor.example", Roles: slices.Clone(p.roles), Queues: slices.Clone(p.queues), Manager: p.manager}
			if p.authority > 0 {
				person.Authority = deal.Money{Value: decimal.NewFromInt(p.authority), Currency: "EUR"}
			}
			if p.away != "" {
				person.AwayUntil = day(p.away)
			}
			if !yield(person) {
				return
			}
		}
	}
}

var staff = []struct {
	id, name, mail string
	roles, queues  []string
	authority      int64 // EUR
	manager, away  string
	countries      []string // whose accounts are theirs
}{
	{id: "u-001", name: "Ingrid Falk", mail: "ingrid.falk", roles: []string{"ops", "policy"}, queues: []string{"deal-desk", "channel-disputes", "channel-director", "policy-desk"}, authority: 10_000_000},
	{id: "u-010", name: "Tomás Ferreira", mail: "tomas.ferreira", roles: []string{"ops"}, queues: []string{"deal-desk", "channel-disputes", "channel-director", "sales-ops"}, authority: 1_000_000, manager: "u-001"},
	{id: "u-011", name: "Aiko Mori", mail: "aiko.mori", roles: []string{"ops"}, queues: []string{"deal-desk"}, authority: 250_000, manager: "u-010"},
	{id: "u-012", name: "Samuel Okafor", mail: "samuel.okafor", roles: []string{"ops"}, queues: []string{"deal-desk", "renewals"}, authority: 250_000, manager: "u-010", away: "2099-12-31"},
	{id: "u-013", name: "Clara Jensen", mail: "clara.jensen", roles: []string{"ops"}, queues: []string{"channel-disputes", "channel-managers", "channel-manager", "partner-desk"}, authority: 500_000, manager: "u-010"},
	{id: "u-020", name: "Piotr Zielinski", mail: "piotr.zielinski", roles: []string{"ops", "policy"}, queues: []string{"territory-ops", "policy-desk"}, authority: 100_000, manager: "u-001"},
	{id: "u-030", name: "Leila Haddad", mail: "leila.haddad", roles: []string{"ops"}, queues: []string{"channel-managers", "channel-manager", "partner-desk", "partner-desk-emea"}, authority: 150_000, manager: "u-010"},
	{id: "u-031", name: "Marcus Webb", mail: "marcus.webb", roles: []string{"ops"}, queues: []string{"channel-managers", "channel-manager", "partner-desk", "partner-desk-amer"}, authority: 150_000, manager: "u-010"},
	{id: "u-032", name: "Yuna Park", mail: "yuna.park", roles: []string{"ops"}, queues: []string{"channel-managers", "channel-manager", "partner-desk", "partner-desk-apac"}, authority: 150_000, manager: "u-010"},
	{id: "u-040", name: "Rosa Marchetti", mail: "rosa.marchetti", roles: []string{"auditor"}, manager: "u-001"},
	{id: "u-100", name: "Henrik Larsen", mail: "henrik.larsen", roles: []string{"ops"}, queues: []string{"strategic-desk", "direct-team"}, authority: 2_000_000, manager: "u-001"},
	{id: "u-110", name: "Katharina Vogel", mail: "katharina.vogel", roles: []string{"ops"}, queues: []string{"direct-team-de"}, authority: 500_000, manager: "u-100", countries: []string{"DE"}},
	{id: "u-111", name: "Lukas Steiner", mail: "lukas.steiner", roles: []string{"ops"}, queues: []string{"direct-team-alps"}, authority: 250_000, manager: "u-110", countries: []string{"AT", "CH", "LU"}},
	{id: "u-112", name: "Femke de Vries", mail: "femke.devries", roles: []string{"ops"}, queues: []string{"direct-team-benelux"}, authority: 250_000, manager: "u-110", countries: []string{"NL", "BE"}},
	{id: "u-120", name: "Camille Laurent", mail: "camille.laurent", roles: []string{"ops"}, queues: []string{"direct-team-fr"}, authority: 500_000, manager: "u-100", countries: []string{"FR"}},
	{id: "u-121", name: "Marta Iglesias", mail: "marta.iglesias", roles: []string{"ops"}, queues: []string{"direct-team-south"}, authority: 250_000, manager: "u-120", countries: []string{"ES", "PT", "IT", "GR"}},
	{id: "u-130", name: "Oliver Whitcombe", mail: "oliver.whitcombe", roles: []string{"ops"}, queues: []string{"direct-team-gb"}, authority: 500_000, manager: "u-100", countries: []string{"GB", "IE"}},
	{id: "u-131", name: "Saara Niemi", mail: "saara.niemi", roles: []string{"ops"}, queues: []string{"direct-team-nordics"}, authority: 250_000, manager: "u-130", countries: []string{"FI", "SE", "NO", "DK", "PL", "CZ", "HU"}},
	{id: "u-140", name: "Danielle Brooks", mail: "danielle.brooks", roles: []string{"ops"}, queues: []string{"direct-team-us"}, authority: 1_000_000, manager: "u-100", countries: []string{"US"}},
	{id: "u-141", name: "Étienne Gagnon", mail: "etienne.gagnon", roles: []string{"ops"}, queues: []string{"direct-team-ca"}, authority: 250_000, manager: "u-140", countries: []string{"CA", "MX", "BR", "AR", "CL"}},
	{id: "u-150", name: "Kenji Watanabe", mail: "kenji.watanabe", roles: []string{"ops"}, queues: []string{"direct-team-jp"}, authority: 500_000, manager: "u-100", countries: []string{"JP", "KR"}},
	{id: "u-151", name: "Priya Nair", mail: "priya.nair", roles: []string{"ops"}, queues: []string{"direct-team-au"}, authority: 250_000, manager: "u-150", countries: []string{"AU", "NZ", "IN", "SG", "ZA"}},
}

// reps are the people who own the accounts of a country: its direct team.
var reps = func() map[string]string {
	out := map[string]string{}
	for _, p := range staff {
		for _, c := range p.countries {
			out[c] = p.id
		}
	}
	return out
}()

func day(s string) deal.Date {
	d, err := deal.ParseDate(s)
	if err != nil {
		panic("world: " + err.Error())
	}
	return d
}
