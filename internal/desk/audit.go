package desk

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/dibs-deals/dibs/internal/deal"
	"github.com/dibs-deals/dibs/internal/engine"
	"github.com/dibs-deals/dibs/internal/store"
)

// verified is what this process found when it last verified the ledger.
type verified struct {
	running sync.Mutex // one at a time: it reads everything

	mu     sync.Mutex
	at     time.Time
	took   time.Duration
	report engine.Report
}

func (x *verified) last() (engine.Report, time.Time, time.Duration) {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.report, x.at, x.took
}

// verifyFor bounds one verification: a form's answer is waited for that long.
const verifyFor = 30 * time.Minute

// auditView is where the chain stands.
type auditView struct {
	head       store.Head
	headAt     instant
	root       string
	chain      string
	checkpoint string
	key        string
	verified   bool
	report     engine.Report
	at         instant
	took       string
	entries    []entryRow
	older      string
	newer      string
}

type entryRow struct {
	seq     string
	href    string
	at      instant
	kind    string
	subject string
	to      string
	by      string
}

const entriesPerPage = 50

func auditPage(v *visit) (view, error) {
	head, err := v.store().Head(v.ctx())
	if err != nil {
		return view{}, err
	}
	out := auditView{head: head, headAt: v.at(head.At), root: hex.EncodeToString(head.Root[:]), chain: hex.EncodeToString(head.Chain[:]), key: v.d.engine.Signs()}
	if out.checkpoint, err = v.d.engine.Checkpoint(v.ctx()); err != nil {
		return view{}, err
	}
	report, at, took := v.d.verified.last()
	if !at.IsZero() {
		out.verified, out.report, out.at, out.took = true, report, v.at(at), took.Round(time.Millisecond).String()
	}
	last := head.Seq
	if s := v.r.URL.Query().Get("to"); s != "" {
		if last, err = strconv.ParseUint(s, 10, 64); err != nil {
			return view{}, badRequest("to is the number of an entry")
		}
		last = min(last, head.Seq)
	}
	from := last - min(last, entriesPerPage)
	for e, err := range v.store().Entries(v.ctx(), from) {
		if err != nil {
			return view{}, err
		}
		if e.Seq > last {
			break
		}
		out.entries = append([]entryRow{v.entryRow(&e)}, out.entries...)
	}
	if from > 0 {
		out.older = fmt.Sprintf("%s/audit?to=%d", Root, from)
	}
	if last < head.Seq {
		out.newer = fmt.Sprintf("%s/audit?to=%d", Root, last+entriesPerPage)
	}
	return view{title: "Audit", nav: "Audit", body: auditBody(out)}, nil
}

func (v *visit) entryRow(e *store.Entry) entryRow {
	row := entryRow{seq: strconv.FormatUint(e.Seq, 10), at: v.at(e.At), kind: e.Kind, subject: e.Subject, by: v.doer(e.Actor)}
	row.href = Root + "/audit/" + row.seq
	switch kind, id, _ := strings.Cut(e.Subject, "/"); {
	case strings.HasPrefix(e.Subject, deal.RegistrationID):
		row.to = Root + "/registrations/" + e.Subject
	case strings.HasPrefix(e.Subject, deal.CaseID):
		row.to = Root + "/cases/" + e.Subject
	case kind == string(deal.Accounts) && id != "":
		row.to = Root + "/accounts/" + url.PathEscape(id)
	case kind == deal.PolicyDocument && id != "":
		row.to = Root + "/policy/" + id
	}
	return row
}

// verify derives the whole ledger again. The answer comes when it is done.
func verify(v *visit) (view, error) {
	x := &v.d.verified
	if !x.running.TryLock() {
		return view{}, failure{http.StatusConflict, "A verification is under way", "It reads the whole ledger, one at a time. Open the audit page again in a while: it will show what was found."}
	}
	defer x.running.Unlock()
	// The answer may take longer than the server gives others.
	if err := http.NewResponseController(v.w).SetWriteDeadline(time.Now().Add(verifyFor)); err != nil {
		v.d.log.DebugContext(v.ctx(), "no deadline to move", "error", err)
	}
	began := v.d.engine.Now()
	report, err := engine.Verify(v.ctx(), v.store())
	if err != nil {
		return view{}, err
	}
	x.mu.Lock()
	x.report, x.at, x.took = report, began, v.d.engine.Now().Sub(began)
	x.mu.Unlock()
	return view{to: Root + "/audit"}, nil
}

// entryView is one entry of the ledger.
type entryView struct {
	row    entryRow
	chain  string
	change string
	prev   string
	next   string
}

func entryPage(v *visit) (view, error) {
	seq, err := strconv.ParseUint(v.r.PathValue("seq"), 10, 64)
	if err != nil {
		return view{}, deal.ErrNotFound
	}
	e, err := v.store().Entry(v.ctx(), seq)
	if err != nil {
		return view{}, err
	}
	c, err := deal.DecodeChange(e.Body)
	if err != nil {
		return view{}, err
	}
	for i := range c.Keys {
		c.Keys[i].SecretHash = nil
	}
	const shown = 64 << 10 // an import is megabytes, and nobody reads them here
	b, err := c.Encode()
	if err != nil {
		return view{}, err
	}
	var pretty bytes.Buffer
	if err := json.Indent(&pretty, b, "", "  "); err != nil {
		return view{}, err
	}
	text := pretty.String()
	if len(text) > shown {
		text = strings.ToValidUTF8(text[:shown], "") + fmt.Sprintf("\n… %s bytes more; GET /v1/audit/entries has them", thousands(uint64(len(text)-shown)))
	}
	out := entryView{row: v.entryRow(&e), chain: hex.EncodeToString(e.Chain[:]), change: text}
	if seq > 1 {
		out.prev = fmt.Sprintf("%s/audit/%d", Root, seq-1)
	}
	if head, err := v.store().Head(v.ctx()); err == nil && seq < head.Seq {
		out.next = fmt.Sprintf("%s/audit/%d", Root, seq+1)
	}
	return view{title: "Entry " + out.row.seq, nav: "Audit", body: entryBody(out)}, nil
}
