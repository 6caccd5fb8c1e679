package deal

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"
)

// The state machine, every status by every event, as ARCHITECTURE.md draws it: D is any status a decision leads to.
const lifecycleTable = `
             decide  expire   release    extend     withdraw   revoke   won  lost  resolve  silence           reopen     appeal      close   respond    update  evidence               miss         transfer  accept     merge
received     D       -        -          -          -          -        -    -     -        -                 -          -           -       -          -       -                      -            -         -          -
returned     -       -        -          -          withdrawn  revoked  -    lost  -        routed,escalated  escalated  -           -       -          D       -                      -            -         -          merged
waitlisted   D       -        -          -          withdrawn  revoked  -    lost  D        -                 escalated  waitlisted  routed  -          D       waitlisted             -            D         -          merged
escalated    D       -        escalated  -          withdrawn  revoked  -    lost  D        D                 -          -           -       escalated  D       escalated              -            -         -          merged
conditional  -       expired  -          -          withdrawn  revoked  -    lost  -        -                 -          -           -       -          D       conditional,protected  conditional  D         protected  merged
protected    -       expired  -          protected  withdrawn  revoked  won  lost  -        -                 -          -           -       -          D       protected              protected    D         -          merged
routed       -       -        -          -          -          -        -    -     -        -                 escalated  escalated   -       -          -       -                      -            -         -          -
merged       -       -        -          -          -          -        -    -     -        -                 escalated  escalated   -       -          -       -                      -            -         -          -
expired      -       -        -          -          -          -        -    -     -        -                 -          -           -       -          -       -                      -            -         -          -
withdrawn    -       -        -          -          -          -        -    -     -        -                 -          -           -       -          -       -                      -            -         -          -
revoked      -       -        -          -          -          -        -    -     -        -                 -          -           -       -          -       -                      -            -         -          -
won          -       -        -          -          -          -        -    -     -        -                 -          -           -       -          -       -                      -            -         -          -
lost         -       -        -          -          -          -        -    -     -        -                 -          -           -       -          -       -                      -            -         -          -
transferred  -       -        -          -          -          -        -    -     -        -                 -          -           -       -          -       -                      -            -         -          -`

func TestLifecycle(t *testing.T) {
	t.Parallel()
	rows := strings.Split(strings.TrimSpace(lifecycleTable), "\n")
	events := strings.Fields(rows[0])
	if len(events) != len(Events) || len(rows)-1 != len(Statuses) || len(EventRules) != len(Events) {
		t.Fatalf("the table has %d statuses and %d events; there are %d, %d and %d rules", len(rows)-1, len(events), len(Statuses), len(Events), len(EventRules))
	}
	for _, row := range rows[1:] {
		cells := strings.Fields(row)
		s := Status(cells[0])
		if !slices.Contains(Statuses, s) {
			t.Fatalf("%s is no status", s)
		}
		for i, cell := range cells[1:] {
			e := Event(events[i])
			var want []Status
			switch cell {
			case "-":
			case "D":
				want = decided
			default:
				for one := range strings.SplitSeq(cell, ",") {
					want = append(want, Status(one))
				}
			}
			if got := s.After(e); !slices.Equal(got, want) {
				t.Errorf("%s of %s leads to %v, want %v", e, s, got, want)
			}
			for _, role := range Roles {
				err := s.Refuse(e, role)
				may := slices.Contains(EventRules[e].Roles, role)
				switch {
				case !may && !errors.Is(err, ErrForbidden), may && want != nil && err != nil, may && want == nil && !errors.Is(err, ErrNotPossible):
					t.Errorf("%s of %s by %s: %v", e, s, role, err)
				case may && want == nil:
					for _, p := range s.Possible(role) {
						if !strings.Contains(err.Error(), string(p)) {
							t.Errorf("%s of %s by %s: %q does not name %s", e, s, role, err, p)
						}
					}
					if len(s.Possible(role)) == 0 && !strings.Contains(err.Error(), "nothing more") {
						t.Errorf("%s of %s by %s: %q", e, s, role, err)
					}
				}
			}
		}
	}
	for s, events := range lifecycle {
		for e, to := range events {
			for _, x := range to {
				if !slices.Contains(Statuses, x) {
					t.Errorf("%s of %s leads to %q, which is no status", e, s, x)
				}
			}
		}
	}
}

func TestMoveValidate(t *testing.T) {
	t.Parallel()
	now := time.Date(2027, 3, 1, 9, 0, 0, 0, time.UTC)
	tomorrow := Date{now.AddDate(0, 0, 3)}
	for _, c := range []struct {
		m    Move
		want string
	}{
		{Move{Event: EventWithdraw}, ""},
		{Move{Event: EventRevoke, Reason: " \n"}, "reason"},
		{Move{Event: EventRevoke, Reason: "no meeting"}, ""},
		{Move{Event: EventLost, Reason: strings.Repeat("x", MaxText+1)}, "reason"},
		{Move{Event: EventLost, Evidence: []Evidence{{Kind: "meeting"}}}, "evidence"},
		{Move{Event: EventWon, Evidence: []Evidence{{Kind: "purchase_order"}}}, ""},
		{Move{Event: EventExtend, Evidence: []Evidence{{Kind: "meeting"}}}, ""},
		{Move{Event: EventExtend, Evidence: []Evidence{{Kind: "rumour"}}}, "evidence[0].kind"},
		{Move{Event: EventExtend, Evidence: []Evidence{{Kind: "meeting", Date: tomorrow}}}, "evidence[0].date"},
		{Move{Event: EventExtend, Evidence: make([]Evidence, MaxEvidence+1)}, "evidence"},
	} {
		got := c.m.Validate(now)
		if c.want == "" && len(got) > 0 || c.want != "" && (len(got) == 0 || got[0].Field != c.want) {
			t.Errorf("%+v: %v, want %q", c.m, got, c.want)
		}
	}
}

// The words of a move are personal data: an entry's body is made without them, and they come back.
func TestMovePersonal(t *testing.T) {
	t.Parallel()
	c := &Change{Move: &Move{Event: EventExtend, Reason: "Erika asked", Evidence: []Evidence{{Kind: "meeting", By: "Erika", Text: "at hers"}}}}
	data := c.Personal()
	b, err := c.Public().Encode()
	if err != nil || len(data) != 3 || strings.Contains(string(b), "Erika") || strings.Contains(string(b), "hers") {
		t.Fatalf("%v, %v, %s", err, data, b)
	}
	back, err := DecodeChange(b)
	if err != nil {
		t.Fatal(err)
	}
	back.JoinPersonal(data)
	if back.Move.Reason != "Erika asked" || back.Move.Evidence[0].By != "Erika" || back.Move.Evidence[0].Text != "at hers" || c.Move.Evidence[0].By != "Erika" {
		t.Errorf("%+v, %+v", back.Move, c.Move)
	}
}
