package workflows

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/evercert/evercert/activities"
	"github.com/evercert/evercert/cert"
)

// install puts the certificate on the edges and looks whether each serves it. Only then is it complete (row A3). A certificate that was issued
// is never ordered again while it is young: the next attempt goes on with its installation.
func (d *domain) install(ctx workflow.Context) {
	c := d.state.Serving.candidate()
	if d.state.Serving.Issued == c && !workflow.Now(ctx).Before(c.RenewAt) {
		d.happens(CertificateOld, happening{at: workflow.Now(ctx)})
		return
	}
	var installed activities.Installed
	request := activities.InstallRequest{Names: d.state.Names, Serial: c.Serial}
	telling := try(ctx, installOptions, "serial "+c.Serial, activities.InstallCertificateName, request)
	if !telling.settled(ctx) {
		d.record(ctx) // it takes longer: people read that it is being installed
	}
	if err := telling.patient(ctx).Get(ctx, &installed); err != nil {
		d.installationFailed(workflow.Now(ctx), activities.ReadVerdict(err), nil)
		return
	}
	verdict, lacking := d.verify(ctx, c.Serial, installed.Edges)
	if len(lacking) == 0 {
		d.happens(Served, happening{at: workflow.Now(ctx), text: "every edge serves the certificate"})
		return
	}
	if len(lacking) == len(installed.Edges) {
		lacking = nil // seen nowhere
	} else {
		verdict.Problem.Message = fmt.Sprintf("%d of %d edges serve the certificate: %s",
			len(installed.Edges)-len(lacking), len(installed.Edges), verdict.Problem.Message)
	}
	d.installationFailed(workflow.Now(ctx), verdict, lacking)
}

// verify asks every edge at the same time, and returns those that do not serve the certificate, with what that means: one that shows another
// certificate makes it a refusal, else it is a wait.
func (d *domain) verify(ctx workflow.Context, serial string, edges []string) (worst activities.Verdict, lacking []string) {
	looks, answers := make([]attempted, len(edges)), make([]workflow.Future, len(edges))
	for i, edge := range edges {
		request := activities.EdgeRequest{Names: d.state.Names, Serial: serial, Edge: edge}
		looks[i] = try(ctx, verifyOptions, "does "+edge+" serve serial "+serial, activities.VerifyEdgeName, request)
	}
	if slices.ContainsFunc(looks, func(look attempted) bool { return !look.settled(ctx) }) {
		d.record(ctx) // it takes longer
	}
	for i := range edges { // an edge that is away holds up no other
		answers[i] = looks[i].patient(ctx)
	}
	var found []string
	for i, answer := range answers {
		err := answer.Get(ctx, nil)
		if err == nil {
			continue
		}
		v := activities.ReadVerdict(err)
		if lacking == nil || v.Outcome == cert.Refused && worst.Outcome != cert.Refused {
			worst = v
		}
		lacking = append(lacking, edges[i])
		if v.Problem.Found != "" {
			found = append(found, v.Problem.Found)
		}
	}
	worst.Problem.Found = cert.Line(strings.Join(found, "; "), cert.MaxDetail)
	return worst, lacking
}

// firstInstallWait is the first wait for an edge that is away. It grows with each try.
const firstInstallWait = time.Minute

func (d *domain) installationFailed(now time.Time, v activities.Verdict, lacking []string) {
	h := happening{at: now, problem: v.Problem, lacking: lacking, wait: d.grown(firstInstallWait, d.state.Attempt.Tries)}
	switch {
	case v.Outcome == cert.Refused:
		d.refused(h)
	case len(lacking) > 0:
		d.happens(ServedInPart, h)
	default:
		d.happens(MustWait, h)
	}
}

// reinstall tells the edges once more which certificate is live. It looks at nothing: the caretaker, which asked for it, looks again.
func (d *domain) reinstall(ctx workflow.Context) {
	d.state.Asked.Reinstall = false
	live := d.state.Serving.Live
	if live == nil || d.state.Serving.Issued != nil { // the installation under way does it
		return
	}
	request := activities.InstallRequest{Names: d.state.Names, Serial: live.Serial}
	if err := step(ctx, installOptions, "serial "+live.Serial+" again", activities.InstallCertificateName, request, nil); err != nil {
		d.log.Warn("the live certificate could not be installed again", "error", err)
	}
}
