package main

// mutation is one rule of the workflows, broken.
type mutation struct {
	name    string
	changes []change
}

type change struct{ file, old, new string }

func one(name, file, old, broken string) mutation {
	return mutation{name, []change{{"workflows/" + file, old, broken}}}
}

// mutations are what a test must notice. That a workflow returns no error is seen in its source (workflows/options_internal_test.go), which
// an overlay does not change. The rule "a case outlives its domain's run" (once a child workflow's parent-close policy) has none any more:
// a case is no child, a worker starts its workflow from the row that the domain's record writes.
var mutations = []mutation{
	one("ContinueAsNew without draining signals", "domain.go", "\t\td.drainSignals(ctx)\n\t\tif !d.changed {", "\t\tif !d.changed {"),
	one("ContinueAsNew without waiting for handlers", "domain.go",
		"\t\tmust(workflow.Await(ctx, func() bool { return workflow.AllHandlersFinished(ctx) }))\n\t\td.drainSignals", "\t\td.drainSignals"),
	one("retire without waiting for handlers", "domain.go",
		"retire(ctx workflow.Context) {\n\tmust(workflow.Await(ctx, func() bool { return workflow.AllHandlersFinished(ctx) }))",
		"retire(ctx workflow.Context) {"),
	one("a snapshot drops the case", "recording.go", "\t\tsnap.Case = &c\n", "\t\t_ = c\n"),
	one(
		"CannotFinish removed", "domain.go", "!at.IsZero() && !now.Before(at) {\n\t\td.happens(TakesTooLong",
		"at.IsZero() && !now.Before(now) {\n\t\td.happens(TakesTooLong",
	),
	one(
		"BeforeExpiry dropped from planRetry", "effects.go", "h.at.Add(s.Policy.BeforeExpiry(wait, s.Serving.remaining(h.at)))",
		"h.at.Add(wait)",
	),
	one(
		"BeforeExpiry dropped from checks", "effects.go", "now.Add(d.state.Policy.BeforeExpiry(wait, d.state.Serving.remaining(now)))",
		"now.Add(wait)",
	),
	one("Held never cleared", "effects.go", "\td.state.Serving.Held = false\n", ""),
	{"DormantInterval ignored", []change{{"cert/policy.go", "\t\treturn p.DormantInterval\n", "\t\treturn p.EscalatedInterval\n"}}},
	one("a hand-back before its case is lost", "messages.go", "\t\td.early = &h\n", "\t\t_ = h\n"),
	one("a hand-back before its case is kept for a later one", "domain.go", "\td.early = nil // the workflow", "\t// the workflow"),
	one("heartbeat time-out removed", "options.go", "\t\tHeartbeatTimeout:       10 * time.Second,\n", ""),
	one(
		"record limited to three tries", "options.go", "ScheduleToCloseTimeout: unlimited, RetryPolicy: patient}",
		"ScheduleToCloseTimeout: unlimited, RetryPolicy: &temporal.RetryPolicy{MaximumInterval: time.Minute, MaximumAttempts: 3}}",
	),
	one("record limited in time", "options.go", "ScheduleToCloseTimeout: unlimited", "ScheduleToCloseTimeout: time.Minute"),
	one(
		"ScheduleToClose unset in localOptions", "options.go", "StartToCloseTimeout: within, ScheduleToCloseTimeout: within,",
		"StartToCloseTimeout: within,",
	),
	one("cancellation reaches the domain", "domain.go", "\tctx, _ = workflow.NewDisconnectedContext(ctx)\n\td.handle", "\td.handle"),
	one(
		"cancellation is not reported", "messages.go", "\t\t\t\td.addEvent(cert.RequestIgnored",
		"\t\t\t\td.log.Info(string(cert.RequestIgnored), \"cause\"",
	),
	one(
		"cancellation reaches the case", "escalation.go", "\tctx, _ = workflow.NewDisconnectedContext(ctx)\n",
		"\tctx, _ = workflow.WithCancel(ctx)\n",
	),
	one("Excused ignored", "recording.go", "|| s.Attempt.Since.IsZero() || !s.Attempt.Excused.IsZero()", "|| s.Attempt.Since.IsZero()"),
	one("an excused wait counts afterwards", "effects.go", "\t\ta.Since = a.Since.Add(h.at.Sub(a.Excused))\n", ""),
	one("paused time counted", "effects.go", "*since = since.Add(h.at.Sub(d.state.Pause.Since))", "*since = *since"),
	one("Issued kept for ever", "installing.go", "if d.state.Serving.Issued == c && !workflow.Now(ctx).Before(c.RenewAt) {", "if false {"),
	one("request ids not kept", "state.go", "\ta.Requests = append(a.Requests, id)\n", ""),
	one(
		"removal applied in the middle of a step", "messages.go", "\t\td.state.Asked.Removal = \"removed by \"",
		"\t\td.state.Phase = Removed\n\t\td.state.Asked.Removal = \"removed by \"",
	),
	one("rest past moments()", "domain.go", "if m.at.After(now) && (until.IsZero()", "if false && m.at.After(now) && (until.IsZero()"),
	// More.
	one(
		"a hand-back does not begin the wait anew", "effects.go", "\t\ts.Attempt.Since = h.at\n\t}\n\ts.Records",
		"\t\ts.Attempt.Since = s.Attempt.Since.Add(0)\n\t}\n\ts.Records",
	),
	one(
		"a hand-back leaves failures", "effects.go", "s.Attempt.Failures, s.Attempt.Tries, s.Attempt.OrdersGone, s.Attempt.Excused = 0,",
		"s.Attempt.Failures, s.Attempt.Tries, s.Attempt.OrdersGone, s.Attempt.Excused = s.Attempt.Failures,",
	),
	one("a wait counts as a failure", "effects.go", "\ta.Tries++\n", "\ta.Tries++\n\ta.Failures++\n"),
	one("a live certificate in part is not renewed in time", "effects.go", "c.RenewAt.After(h.at) && c.RenewAt.Before(a.NextAt)", "false"),
	one(
		"a second order for one issuance", "effects.go",
		"d.state.Attempt.Issuance, d.state.Attempt.OrdersGone, d.state.Attempt.Tries = \"\", 0, 0",
		"d.state.Attempt.OrdersGone, d.state.Attempt.Tries = 0, 0",
	),
	one("a new issuance while a certificate is at hand", "issuing.go", "case s.Issued != nil, len", "case len"),
	one(
		"a certificate that one edge serves counts as complete", "installing.go", "if len(lacking) == 0 {\n\t\td.happens(Served",
		"if len(lacking) < len(installed.Edges) {\n\t\td.happens(Served",
	),
	one(
		"nearly expired opens no case", "transitions.go", "NearlyExpired: {Effects: []Effect{ReportNearlyExpired, OpenCase}}",
		"NearlyExpired: {Effects: []Effect{ReportNearlyExpired}}",
	),
	one(
		"a parked name is not tried again", "issuing.go",
		"h.caseKind, h.text, h.wait = cert.CAStopped, v.Problem.Message, d.state.Policy.HoldInterval",
		"h.caseKind, h.text, h.wait = cert.CAStopped, v.Problem.Message, 1000*d.state.Policy.HoldInterval",
	),
	one(
		"a removed domain shows its certificate", "recording.go", "\tif snap.Status.Domain == cert.DomainRemoved {\n\t\treturn snap\n\t}\n", "",
	),
	{"what came while it was recorded is not recorded", []change{
		{"workflows/recording.go", "for d.changed { // again", "if d.changed { // again"},
		{"workflows/domain.go", "\tif d.changed {\n\t\treturn\n\t}\n\tdefer", "\tdefer"},
	}},
	one(
		"an unknown check of a renewal waits as long as a wrong one", "effects.go", "d.checkAgain(h.at, d.state.Policy.CheckInterval)",
		"d.checkAgain(h.at, 30*d.state.Policy.HoldInterval)",
	),
	one("the run of a waiting domain never ends", "domain.go", "waits && workflow.Now(ctx)", "false && waits && workflow.Now(ctx)"),
	one(
		"a case does not signal its domain again", "escalation.go", "\t\te.tryAgain = workflow.Now(ctx).Add(againAfter)\n",
		"\t\te.s.HandBack = nil\n",
	),
	one(
		"a case forgets a hand-back in its next run", "escalation.go",
		"\t\te.signalDomain(ctx) // also what the run before could not signal\n",
		"\t\tif workflow.Now(ctx).After(workflow.GetInfo(ctx).WorkflowStartTime) {\n\t\t\te.signalDomain(ctx)\n\t\t}\n",
	),
	one("two cases at a time", "effects.go", "\t\td.closeCase(happening{at: h.at, text: \"another case takes its place: \" + h.text})\n", ""),
	one(
		"a claim ends though no check had a result", "phases.go", "case diagnosis.Verdict == cert.Wrong && !d.state.claimEndsAt()",
		"case !d.state.claimEndsAt()",
	),
	one("a record that is seen does not keep a claim", "rival.go", "return r.Verdict == cert.OK", "return false"),
	one(
		"a verified domain yields as a claim does", "rival.go", "case !d.state.Records.Verified && shown == cert.OK:",
		"case shown == cert.OK && d.state.Phase == AwaitingDNS:",
	),
	one(
		"the old tenant's record is no objection", "rival.go", "switch own := d.ownershipOf(ctx, d.state.Tenant, d.state.Names); own {",
		"switch own := cert.Wrong; own {",
	),
	one(
		"a move needs no proof at its end", "rival.go", "case shown == cert.OK:\n\t\td.endNotice",
		"case shown != cert.Unknown:\n\t\td.endNotice",
	),
	one("names that moved are kept for nobody", "recording.go", "v != nil && v.Gets {", "v != nil && v.Gets && v.Tenant == s.Tenant {"),
	one("a contest at will", "rival.go", "now.Sub(v.CheckedAt) < contestPause", "false"),
	one("text of a signal is kept as it is", "messages.go", "\t\trequest.clean()\n", ""),
}
