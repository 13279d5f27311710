package activities_test

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/evercert/evercert/activities"
	"github.com/evercert/evercert/cert"
)

// issuedNow orders a certificate of 90 days that begins now, of which the CA suggests a window by days from now.
func issuedNow(t *testing.T, from, to float64, change func(*outside)) (*outside, activities.Issued) {
	t.Helper()
	o := withCSR(t)
	o.begins = time.Now()
	at := func(days float64) time.Time { return o.begins.Add(time.Duration(days * float64(24*time.Hour))) }
	o.suggestion = cert.Suggestion{Window: cert.Window{Start: at(from), End: at(to)}}
	if change != nil {
		change(o)
	}
	issued, err := run[activities.Issued](o, "OrderCertificate", renewalRequest)
	require.NoError(t, err)
	require.Equal(t, "01", issued.Serial)
	return o, issued
}

func TestF3_ACertificateComesWithTheWindowThatItsCASuggests(t *testing.T) {
	t.Parallel()
	o, issued := issuedNow(t, 59, 61, nil)
	require.WithinDuration(t, o.suggestion.Window.Start, issued.Window.Start, 0)
	require.WithinDuration(t, o.suggestion.Window.End, issued.Window.End, 0)

	again, err := run[activities.Issued](o, "OrderCertificate", renewalRequest)
	require.NoError(t, err)
	require.Equal(t, issued.Certificate, again.Certificate)
	require.Zero(t, again.Window, "a run that finds the certificate there needs no CA")
}

func TestF3_RenewNowIsNotFollowedForACertificateOfThisMoment(t *testing.T) {
	t.Parallel()
	for _, from := range []float64{-0.04, 0, 1, 8.9} {
		_, issued := issuedNow(t, from, 61, nil)
		require.Zero(t, issued.Window, "a window that begins after %v of 90 days", from)
	}
	_, issued := issuedNow(t, 9.1, 61, nil)
	require.NotZero(t, issued.Window)
}

func TestF3_AWindowThatHasBegunIsNotFollowed(t *testing.T) {
	t.Parallel()
	_, issued := issuedNow(t, 15, 61, func(o *outside) { // the order was left alone for twenty days
		o.begins = o.begins.AddDate(0, 0, -20)
		o.suggestion.Window.Start = o.suggestion.Window.Start.AddDate(0, 0, -20)
	})
	require.Zero(t, issued.Window)
}

func TestF3_WithoutRenewalInformationTheCertificateComesAllTheSame(t *testing.T) {
	t.Parallel()
	_, issued := issuedNow(t, 59, 61, func(o *outside) { o.breaks(fault{call: "RenewalInfo", err: errors.New("503")}) })
	require.Zero(t, issued.Window)
	_, issued = issuedNow(t, 59, 61, func(o *outside) { o.suggestion = cert.Suggestion{} })
	require.Zero(t, issued.Window)
}

func TestF3_WhatHistoriesRecordedBeforeThereWereWindowsIsReadAsBefore(t *testing.T) {
	t.Parallel()
	before := cert.Certificate{Serial: "0a", Names: []string{"a.example"}, NotBefore: time.Unix(0, 0).UTC(), NotAfter: time.Unix(9, 0).UTC()}
	recorded, err := json.Marshal(before)
	require.NoError(t, err)
	var read activities.Issued
	require.NoError(t, json.Unmarshal(recorded, &read))
	require.Equal(t, activities.Issued{Certificate: before}, read)
	written, err := json.Marshal(read)
	require.NoError(t, err)
	require.JSONEq(t, string(recorded), string(written))
}
