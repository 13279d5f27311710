package activities_test

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/evercert/evercert/cert"
)

// The store.

func (o *outside) CreateIssuance(ctx context.Context, i cert.Issuance, sealedKey []byte) (stored cert.Issuance, err error) {
	err = o.do(ctx, "CreateIssuance", func() error {
		if _, ok := o.issuances[i.ID]; !ok {
			o.issuances[i.ID], o.sealed[i.KeyID] = i, sealedKey
		}
		stored = o.issuances[i.ID]
		return nil
	})
	return stored, err
}

func (o *outside) Issuance(ctx context.Context, id string) (i cert.Issuance, err error) {
	err = o.do(ctx, "Issuance", func() error {
		var ok bool
		if i, ok = o.issuances[id]; !ok {
			return errors.New("not found")
		}
		return nil
	})
	if o.read != nil {
		o.read()
	}
	return i, err
}

func (o *outside) MarkOrderTried(ctx context.Context, id string, by cert.CAIdentity) error {
	return o.do(ctx, "MarkOrderTried", func() error {
		i := o.issuances[id]
		i.OrderTries, i.CA, i.Directory, i.AccountURL = i.OrderTries+1, by.Name, by.Directory, by.AccountURI
		o.issuances[id] = i
		return nil
	})
}

func (o *outside) PlaceOrder(ctx context.Context, id string, place func(context.Context, cert.Issuance) (string, error)) (string, error) {
	o.row.Lock()
	defer o.row.Unlock()
	var stored cert.Issuance
	err := o.do(ctx, "PlaceOrder", func() error {
		stored = o.issuances[id]
		if stored.OrderTries == 0 {
			return errors.New("it is not marked as tried")
		}
		return nil
	})
	if err != nil || stored.OrderURL != "" {
		return stored.OrderURL, err
	}
	url, err := place(ctx, stored)
	if err != nil {
		return "", fmt.Errorf("place order: %w", err)
	}
	return url, o.do(context.WithoutCancel(ctx), "KeepOrder", func() error {
		stored.OrderURL = url
		o.issuances[id] = stored
		return nil
	})
}

func (o *outside) KnownOrders(ctx context.Context, urls []string) (known []string, err error) {
	err = o.do(ctx, "KnownOrders", func() error {
		for _, i := range o.issuances {
			if slices.Contains(urls, i.OrderURL) {
				known = append(known, i.OrderURL)
			}
		}
		return nil
	})
	return known, err
}

func (o *outside) SaveCertificate(ctx context.Context, c cert.Certificate) error {
	return o.do(ctx, "SaveCertificate", func() error {
		i, ok := o.issuances[c.IssuanceID]
		if !ok || i.DomainID != c.DomainID || i.Serial != "" && i.Serial != c.Serial {
			return fmt.Errorf("certificate %s belongs to no issuance, or is a second one of issuance %q", c.Serial, c.IssuanceID)
		}
		i.Serial = c.Serial
		o.issuances[i.ID], o.certificates[c.Serial] = i, c
		return nil
	})
}

func (o *outside) Certificate(ctx context.Context, serial string) (c cert.Certificate, err error) {
	err = o.do(ctx, "Certificate", func() error {
		c = o.certificates[serial]
		return nil
	})
	return c, err
}

// The CA: it has a list of orders, and a second newOrder makes a second order (as Pebble does, and Boulder does not).

func (o *outside) Directory() string { return "https://ca.example/directory" }

func (o *outside) Identity(ctx context.Context) (cert.CAIdentity, error) {
	return o.identity, o.do(ctx, "Identity", func() error { return nil })
}

func (o *outside) Admit(ctx context.Context) error {
	return o.do(ctx, "Admit", func() error { return nil })
}

func (o *outside) NewOrder(ctx context.Context, names []string, _ string) (url string, err error) {
	err = o.do(ctx, "NewOrder", func() error {
		url = fmt.Sprintf("https://ca.example/order/%d", len(o.orders)+1)
		o.orders = append(o.orders, order{url: url, names: names})
		return nil
	})
	if err != nil {
		return "", err
	}
	return url, nil
}

func (o *outside) FindOrder(
	ctx context.Context,
	names []string,
	known func(context.Context, []string) ([]string, error),
) (url string, err error) {
	var urls []string
	err = o.do(ctx, "FindOrder", func() error {
		for _, order := range o.orders {
			if slices.Equal(order.names, names) && order.serial == "" {
				urls = append(urls, order.url)
			}
		}
		return nil
	})
	if err != nil || len(urls) == 0 {
		return "", err
	}
	taken, err := known(ctx, urls)
	for _, u := range urls {
		if err == nil && !slices.Contains(taken, u) {
			url = u
		}
	}
	return url, err
}

func (o *outside) Complete(
	ctx context.Context,
	url string,
	csr []byte,
	methods map[string]cert.Method,
	progress func(string),
) (c cert.Certificate, err error) {
	progress("order is pending")
	time.Sleep(o.takes) // set only in a synctest bubble, whose clock does not wait
	err = o.do(ctx, "Complete", func() error {
		i := slices.IndexFunc(o.orders, func(order order) bool { return order.url == url })
		request, err := x509.ParseCertificateRequest(csr)
		switch {
		case i < 0:
			return errors.New("no such order")
		case err != nil:
			return err
		case !slices.Equal(request.DNSNames, o.orders[i].names) || len(methods) != len(names):
			return errors.New("the order, the CSR and the methods are for other names")
		case o.orders[i].serial != "" && !bytes.Equal(csr, o.orders[i].csr):
			return errors.New("the order was finalized with another CSR")
		}
		o.orders[i].csr, o.orders[i].serial = csr, fmt.Sprintf("0%d", i+1)
		c = cert.Certificate{
			Serial:   o.orders[i].serial,
			Names:    request.DNSNames,
			Issuer:   "Test CA",
			NotAfter: time.Date(2026, 4, 5, 0, 0, 0, 0, time.UTC),
		}
		if !o.begins.IsZero() {
			c.NotBefore, c.NotAfter = o.begins, o.begins.AddDate(0, 0, 90)
		}
		return nil
	})
	return c, err
}

func (o *outside) RenewalInfo(ctx context.Context, _ []byte) (cert.Suggestion, error) {
	return o.suggestion, o.do(ctx, "RenewalInfo", func() error { return nil })
}

// The budgets.

func (o *outside) Reserve(ctx context.Context, r cert.Reservation) (cert.Place, error) {
	return o.place, o.do(ctx, "Reserve", func() error {
		o.reserved = r
		return nil
	})
}

func (o *outside) Settle(ctx context.Context, id string, issued bool) error {
	return o.do(ctx, "Settle", func() error {
		o.settled = append(o.settled, settled{id, issued})
		return nil
	})
}

// Seal does not encrypt, but its result does not contain the key.
func (o *outside) Seal(plaintext []byte, _ string) (sealed []byte, err error) {
	err = o.do(context.Background(), "Seal", func() error {
		o.keys = append(o.keys, bytes.Clone(plaintext))
		for _, b := range plaintext {
			sealed = append(sealed, b^0x5a)
		}
		return nil
	})
	return sealed, err
}
