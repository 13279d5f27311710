package activities

import "go.temporal.io/sdk/activity"

// The names under which workflows call the activities. They stand in the histories of running workflows: a method may be renamed, its name here
// may not.
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

// Set is what a worker offers to the workflows. A test may leave out what its workflows do not call.
type Set struct {
	DNS          *DNS
	Issuance     *Issuance
	Installation *Installation
	Records      *Records
	Caretaker    *Caretaker
}

// named is an activity and the name that workflows call it by.
type named struct {
	name string
	do   any
}

// list is every activity; a new one is one more line. A method value of a nil pointer is fine until it is called.
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

// Registry takes activities; every Temporal worker and test environment is one.
type Registry interface {
	RegisterActivityWithOptions(do any, o activity.RegisterOptions)
}

// Register registers every activity under its name.
func (s Set) Register(r Registry) {
	for _, a := range s.list() {
		r.RegisterActivityWithOptions(a.do, activity.RegisterOptions{Name: a.name})
	}
}
