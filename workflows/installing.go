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

// install installs the certificate on the edges and verifies that each serves it. Only then is the installation complete (row A3). An
// issued certificate is not ordered again before its renewal is due: the next attempt continues with its installation.
func (d *domain) install(ctx workflow.Context) {
	c := d.state.Serving.candidate()
	if d.state.Serving.Issued == c && !workflow.Now(ctx).Before(c.RenewAt) {
		d.happens(CertificateOld, happening{at: workflow.Now(ctx)})
		return
	}
	var installed activities.Installed
	request := activities.InstallRequest{Names: d.state.Names, Serial: c.Serial}
	installing := try(ctx, installOptions, "serial "+c.Serial, activities.InstallCertificateName, request)
	if !installing.settled(ctx) {
		d.record(ctx) // it takes longer than a moment: people see that it is being installed
	}
	if err := installing.patient(ctx).Get(ctx, &installed); err != nil {
		d.installationFailed(workflow.Now(ctx), activities.ReadVerdict(err), nil)
		return
	}
	verdict, lacking := d.verify(ctx, c.Serial, installed.Edges)
	if len(lacking) == 0 {
		d.happens(Served, happening{at: workflow.Now(ctx), text: "every edge serves the certificate"})
		return
	}
	if len(lacking) == len(installed.Edges) {
		lacking = nil // no edge serves it
	} else {
		verdict.Problem.Message = fmt.Sprintf("%d of %d edges serve the certificate: %s",
			len(installed.Edges)-len(lacking), len(installed.Edges), verdict.Problem.Message)
	}
	d.installationFailed(workflow.Now(ctx), verdict, lacking)
}

// verify asks every edge at the same time, and returns those that do not serve the certificate. worst is what that means: a refusal when
// one of them serves another certificate, else a wait.
func (d *domain) verify(ctx workflow.Context, serial string, edges []string) (worst activities.Verdict, lacking []string) {
	probes, answers := make([]attempted, len(edges)), make([]workflow.Future, len(edges))
	for i, edge := range edges {
		request := activities.EdgeRequest{Names: d.state.Names, Serial: serial, Edge: edge}
		probes[i] = try(ctx, verifyOptions, "does "+edge+" serve serial "+serial, activities.VerifyEdgeName, request)
	}
	if slices.ContainsFunc(probes, func(probe attempted) bool { return !probe.settled(ctx) }) {
		d.record(ctx) // it takes longer than a moment
	}
	for i := range edges { // an unreachable edge delays no other
		answers[i] = probes[i].patient(ctx)
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

// firstInstallWait is the first wait for an edge that can't be reached. It grows with each try.
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

// reinstall installs the served certificate on the edges again. It verifies nothing: the caretaker, which asked for it, checks again.
func (d *domain) reinstall(ctx workflow.Context) {
	d.state.Asked.Reinstall = false
	live := d.state.Serving.Live
	if live == nil || d.state.Serving.Issued != nil { // the installation in progress does it
		return
	}
	request := activities.InstallRequest{Names: d.state.Names, Serial: live.Serial}
	if err := step(ctx, installOptions, "serial "+live.Serial+" again", activities.InstallCertificateName, request, nil); err != nil {
		d.log.Warn("the live certificate could not be installed again", "error", err)
	}
}
