package dcv_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/evercert/evercert/dcv"
)

func TestListen_SaysWhyItCannot(t *testing.T) {
	t.Parallel()
	s := start(t, newMemory())
	_, err := dcv.Listen(t.Context(), dcv.Config{Zone: apex, Listen: s.Addr()}, newMemory(), quiet())
	require.ErrorContains(t, err, "DCV_LISTEN")
	_, err = dcv.Listen(t.Context(), dcv.Config{Zone: apex}, newMemory(), quiet())
	require.ErrorContains(t, err, "DCV_LISTEN is empty")
	_, err = dcv.Listen(t.Context(), dcv.Config{Listen: ":53"}, newMemory(), quiet())
	require.ErrorContains(t, err, "VALIDATION_ZONE is empty")
}

func TestConfig_NamesTheVariableThatIsWrong(t *testing.T) {
	t.Parallel()
	valid := dcv.Config{
		Zone: apex, Listen: ":53", Nameservers: []string{"ns1.example.net."}, Addresses: []string{"ns1." + apex + "=192.0.2.53"},
		TTL: time.Second, CAA: `0 issue "letsencrypt.org; validationmethods=dns-01,http-01", 128 issuewild ";"`,
		RateLimit: 200, RateExempt: []string{"127.0.0.0/8", "::1/128"},
	}
	require.NoError(t, valid.Validate())
	require.NoError(t, dcv.Config{}.Validate(), "a process without the server needs no settings")
	for want, spoil := range map[string]func(*dcv.Config){
		`VALIDATION_ZONE is "https://dcv"`: func(c *dcv.Config) { c.Zone = "https://dcv" },
		`DCV_LISTEN is "53"`:               func(c *dcv.Config) { c.Listen = "53" },
		`DCV_LISTEN is ":dns"`:             func(c *dcv.Config) { c.Listen = ":dns" },
		`DCV_NAMESERVERS has "192.0.2.53:53"`: func(c *dcv.Config) {
			c.Nameservers = []string{"192.0.2.53:53"}
		},
		`DCV_NAMESERVER_ADDRESSES has "192.0.2.53"`: func(c *dcv.Config) {
			c.Addresses = []string{"192.0.2.53"}
		},
		`DCV_NAMESERVER_ADDRESSES has "ns1=ns2"`: func(c *dcv.Config) {
			c.Addresses = []string{"ns1=ns2"}
		},
		`192.0.2.53 for ns1.example.com; it expects`: func(c *dcv.Config) {
			c.Addresses = []string{"ns1.example.com=192.0.2.53"}
		},
		`DCV_TTL is -1s; it expects a duration betwee`:                                 func(c *dcv.Config) { c.TTL = -time.Second },
		`DCV_CAA can't be read: no CAA record begins with letsencrypt.org; it expects`: func(c *dcv.Config) { c.CAA = "letsencrypt.org" },
		`DCV_CAA can't be read: no CAA record begins with iodef "mailto:a@example.com"; it`: func(c *dcv.Config) {
			c.CAA = `0 issue "letsencrypt.org", iodef "mailto:a@example.com"`
		},
		`DCV_CAA can't be read: 256 is no flag`:            func(c *dcv.Config) { c.CAA = `256 issue ";"` },
		`DCV_RATE_LIMIT is -1; it expects answers`:         func(c *dcv.Config) { c.RateLimit = -1 },
		`DCV_TCP_PER_CLIENT is -1; it expects connections`: func(c *dcv.Config) { c.TCPPerClient = -1 },
		`DCV_RATE_EXEMPT has "127.0.0.1"; it expects`: func(c *dcv.Config) {
			c.RateExempt = []string{"127.0.0.1"}
		},
	} {
		c := valid
		spoil(&c)
		require.ErrorContains(t, c.Validate(), want)
	}
}
