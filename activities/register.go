package activities

import "go.temporal.io/sdk/activity"

// The names by which workflows call the activities. Histories of running workflows contain them: a method may be renamed, its name here may
// not.
const (
	CheckDNSName           = "CheckDNS"
	CreateCSRName          = "CreateCSR"
	OrderCertificateName   = "OrderCertificate"
	InstallCertificateName = "InstallCertificate"
	VerifyEdgeName         = "VerifyEdge"
	ReadPolicyName         = "ReadPolicy"
	RecordStatusName       = "RecordStatus"
	RecordCaseName         = "RecordCase"
	InspectDomainsName     = "InspectDomains"
)

// Set holds the activities that a worker registers. A test may omit those that its workflows do not call.
type Set struct {
	DNS          *DNS
	Issuance     *Issuance
	Installation *Installation
	Records      *Records
	Caretaker    *Caretaker
}

// named is an activity and its name in workflows.
type named struct {
	name string
	do   any
}

// list returns every activity; a new activity needs one more line. A method value of a nil pointer is valid until it is called.
func (s Set) list() []named {
	return []named{
		{CheckDNSName, s.DNS.CheckDNS},
		{CreateCSRName, s.Issuance.CreateCSR},
		{OrderCertificateName, s.Issuance.OrderCertificate},
		{InstallCertificateName, s.Installation.InstallCertificate},
		{VerifyEdgeName, s.Installation.VerifyEdge},
		{ReadPolicyName, s.Records.ReadPolicy},
		{RecordStatusName, s.Records.RecordStatus},
		{RecordCaseName, s.Records.RecordCase},
		{InspectDomainsName, s.Caretaker.InspectDomains},
	}
}

// Registry registers activities; Temporal workers and test environments implement it.
type Registry interface {
	RegisterActivityWithOptions(do any, o activity.RegisterOptions)
}

// Register registers every activity under its name.
func (s Set) Register(r Registry) {
	for _, a := range s.list() {
		r.RegisterActivityWithOptions(a.do, activity.RegisterOptions{Name: a.name})
	}
}
