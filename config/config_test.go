package config_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/evercert/evercert/config"
)

// Polling and Sample form a configuration as the mains have them: an embedded group, a group with a prefix, and fields.
type Polling struct {
	Interval time.Duration `env:"INTERVAL" envDefault:"2h" doc:"between checks"`
	Workers  int           `env:"WORKERS" envDefault:"4" doc:"at once"`
}

func (p Polling) Validate() error {
	var errs []error
	if p.Interval <= 0 {
		errs = append(errs, fmt.Errorf("INTERVAL is %s; it expects more than 0", p.Interval))
	}
	if p.Workers < 1 {
		errs = append(errs, fmt.Errorf("WORKERS is %d; it expects at least 1", p.Workers))
	}
	return errors.Join(errs...)
}

type Peer struct {
	Host string `env:"HOST" doc:"its address"`
}

type Sample struct {
	Polling
	Zone   string        `env:"ZONE,notEmpty" doc:"the zone that evercert answers"`
	Token  config.Secret `env:"TOKEN" doc:"who knows it may ask"`
	Names  []string      `env:"NAMES" envDefault:"m,skin" doc:"kept back"`
	Strict bool          `env:"STRICT" doc:"refuse more"`
	Level  slog.Level    `env:"LEVEL" envDefault:"info" doc:"how much is logged"`
	Peer   Peer          `envPrefix:"PEER_"`
}

func TestLoadReadsEveryKindOfSetting(t *testing.T) {
	t.Parallel()
	got, err := config.LoadFrom[Sample](
		map[string]string{"ZONE": "dcv.example.net", "TOKEN": "hush", "INTERVAL": "5m", "STRICT": "true", "LEVEL": "debug", "PEER_HOST": "b"},
	)
	if err != nil {
		t.Fatal(err)
	}
	if got.Zone != "dcv.example.net" || got.Token != "hush" || got.Interval != 5*time.Minute || got.Workers != 4 || !got.Strict ||
		got.Level != slog.LevelDebug || got.Peer.Host != "b" || strings.Join(got.Names, "|") != "m|skin" {
		t.Errorf("read %+v", got)
	}
}

func TestLoadListsEveryWrongVariableOnce(t *testing.T) {
	t.Parallel()
	_, err := config.LoadFrom[Sample](
		map[string]string{"INTERVAL": "2 hours", "WORKERS": "0", "STRICT": "perhaps", "LEVEL": "loud", "TOKEN": "hush"},
	)
	var wrong *config.Error
	if !errors.As(err, &wrong) {
		t.Fatalf("got %v", err)
	}
	want := []string{
		`INTERVAL is "2 hours"; it expects a duration such as 90s, 15m or 2h`,
		`ZONE is not set; it expects: the zone that evercert answers`,
		`STRICT is "perhaps"; it expects true or false`,
		`LEVEL: slog: level string "loud": unknown name`,
		`WORKERS is 0; it expects at least 1`, // Polling's Validate; it does not report INTERVAL, which is reported already
	}
	if got := strings.Join(wrong.Faults, "\n"); got != strings.Join(want, "\n") {
		t.Errorf("got:\n%s\nwant:\n%s", got, strings.Join(want, "\n"))
	}
}

func TestAFaultOfAnEmbeddedStructIsToldOnce(t *testing.T) {
	t.Parallel()
	type outer struct{ Polling } // Polling's Validate is promoted
	_, err := config.LoadFrom[outer](map[string]string{"WORKERS": "-1"})
	if err == nil || err.Error() != "wrong configuration: WORKERS is -1; it expects at least 1" {
		t.Errorf("got %v", err)
	}
}

func TestASecretIsNeverShown(t *testing.T) {
	t.Parallel()
	const value = "correct-horse-battery"
	s := config.Secret(value)
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("start", "token", s, "all", struct{ T config.Secret }{s})
	encoded, err := json.Marshal(map[string]any{"token": s})
	if err != nil {
		t.Fatal(err)
	}
	shown := log.String() + string(encoded)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%08b"} {
		shown += fmt.Sprintf(verb, s) + fmt.Sprintf(verb, []config.Secret{s}) + fmt.Sprintf(verb, struct{ T config.Secret }{s})
	}
	for _, form := range []string{value, fmt.Sprintf("%x", value), fmt.Sprintf("%X", value), fmt.Sprintf("%d", []byte(value))} {
		if strings.Contains(shown, form) {
			t.Errorf("%q is shown in:\n%s", form, shown)
		}
	}
	if !strings.Contains(shown, "[redacted]") {
		t.Errorf("the placeholder is missing:\n%s", shown)
	}
}

func TestThePasswordInAURLIsNeverShown(t *testing.T) {
	t.Parallel()
	type upstream struct {
		URL  string   `env:"URL" doc:"somewhere"`
		URLs []string `env:"URLS" doc:"some more"`
	}
	v := upstream{URL: "postgres://evercert:hunter2@db:5432/evercert", URLs: []string{"http://a:hunter2@b/", "plain"}}
	shown := fmt.Sprint(config.Describe(v), config.Log(v))
	if strings.Contains(shown, "hunter2") || !strings.Contains(shown, "postgres://evercert:xxxxx@db:5432/evercert") ||
		!strings.Contains(shown, "plain") {
		t.Errorf("shown: %s", shown)
	}
}

func TestDescribeListsTheSettingsInOrder(t *testing.T) {
	t.Parallel()
	v, err := config.LoadFrom[Sample](map[string]string{"ZONE": "z", "TOKEN": "hush", "INTERVAL": "5m"})
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, s := range config.Describe(&v) {
		lines = append(lines, fmt.Sprintf("%s|%s|%s|%t|%s|%s", s.Name, s.Type, s.Default, s.Required, s.Doc, s.Value))
	}
	want := `INTERVAL|duration|2h|false|between checks|5m0s
WORKERS|number|4|false|at once|4
ZONE|text||true|the zone that evercert answers|z
TOKEN|secret||false|who knows it may ask|[redacted]
NAMES|list|m,skin|false|kept back|m,skin
STRICT|true or false||false|refuse more|false
LEVEL|text|info|false|how much is logged|INFO
PEER_HOST|text||false|its address|`
	if got := strings.Join(lines, "\n"); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

func TestTheStartLogHoldsTheEffectiveSettings(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).LogAttrs(t.Context(), slog.LevelInfo, "start", config.Log(Sample{Zone: "z", Token: "hush"}))
	if got := log.String(); !strings.Contains(got, "config.ZONE=z config.TOKEN=[redacted]") || strings.Contains(got, "hush") {
		t.Errorf("logged %s", got)
	}
}

func TestTheLogFormatIsChecked(t *testing.T) {
	t.Parallel()
	if _, err := config.LoadFrom[config.Logging](
		map[string]string{"LOG_FORMAT": "xml"},
	); err == nil ||
		!strings.Contains(err.Error(), `LOG_FORMAT is "xml"`) {
		t.Errorf("got %v", err)
	}
	for format, want := range map[string]string{"json": `"msg":"hello"`, "text": "msg=hello"} {
		logging, err := config.LoadFrom[config.Logging](map[string]string{"LOG_FORMAT": format, "LOG_LEVEL": "warn"})
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		logging.Logger(&out).Info("too quiet")
		logging.Logger(&out).Warn("hello")
		if got := out.String(); !strings.Contains(got, want) || strings.Contains(got, "quiet") {
			t.Errorf("%s logged %s", format, got)
		}
	}
}

type Peers struct {
	Host    string        `env:"PEER_HOST,notEmpty" doc:"its address"`
	Key     config.Secret `env:"PEER_KEY" doc:"who knows it may ask"`
	Timeout time.Duration `env:"PEER_TIMEOUT" envDefault:"30s" doc:"for one request"`
}

func (p Peers) Validate() error {
	if p.Timeout < time.Second {
		return fmt.Errorf("PEER_TIMEOUT is %s; it expects at least 1s, and PEER_HOST is not asked", p.Timeout)
	}
	return nil
}

type withPeers struct {
	Zone  string  `env:"ZONE" doc:"the zone"`
	Peers []Peers `envNumbered:"PEER_"`
}

func TestF12_NumberedGroupsAreReadInTheirOrder(t *testing.T) {
	t.Parallel()
	got, err := config.LoadFrom[withPeers](map[string]string{
		"PEER_HOST": "one", "PEER_KEY": "hush", "PEER_2_HOST": "two", "PEER_2_TIMEOUT": "5s", "PEER_3_HOST": "three", "PEER_4_HOST": "",
	})
	if err != nil {
		t.Fatal(err)
	}
	if want := fmt.Sprint([]Peers{{"one", "hush", 30 * time.Second}, {"two", "", 5 * time.Second}, {"three", "", 30 * time.Second}}); fmt.Sprint(got.Peers) != want {
		t.Errorf("read %+v; want %s", got.Peers, want)
	}
	var names []string
	for _, s := range config.Describe(got) {
		names = append(names, s.Name)
	}
	if want := "ZONE PEER_HOST PEER_KEY PEER_TIMEOUT PEER_2_HOST PEER_2_KEY PEER_2_TIMEOUT PEER_3_HOST PEER_3_KEY PEER_3_TIMEOUT"; strings.Join(names, " ") != want {
		t.Errorf("described %q; want %s", names, want)
	}
	if text := fmt.Sprint(config.Log(got)); strings.Contains(text, "hush") {
		t.Errorf("a secret of a numbered group is in the log: %s", text)
	}
}

func TestF12_FaultsOfNumberedGroupsNameTheirOwnVariables(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		environ map[string]string
		want    []string
	}{
		"none at all":       {map[string]string{}, []string{"PEER_HOST is not set; it expects: its address"}},
		"second incomplete": {map[string]string{"PEER_HOST": "one", "PEER_2_KEY": "hush"}, []string{"PEER_2_HOST is not set; it expects: its address"}},
		"both wrong": {
			map[string]string{"PEER_HOST": "one", "PEER_TIMEOUT": "1ms", "PEER_2_HOST": "two", "PEER_2_TIMEOUT": "2 s"},
			[]string{
				"PEER_TIMEOUT is 1ms; it expects at least 1s, and PEER_HOST is not asked",
				`PEER_2_TIMEOUT is "2 s"; it expects a duration such as 90s, 15m or 2h`,
			},
		},
		"second judged": {
			map[string]string{"PEER_HOST": "one", "PEER_2_HOST": "two", "PEER_2_TIMEOUT": "1ms"},
			[]string{"PEER_2_TIMEOUT is 1ms; it expects at least 1s, and PEER_2_HOST is not asked"},
		},
		"a gap": {map[string]string{"PEER_HOST": "one", "PEER_3_HOST": "three"}, []string{"PEER_3_… is set, and PEER_2_… is not; number the groups without a gap"}},
	} {
		_, err := config.LoadFrom[withPeers](test.environ)
		var wrong *config.Error
		if !errors.As(err, &wrong) || strings.Join(wrong.Faults, "\n") != strings.Join(test.want, "\n") {
			t.Errorf("%s: got %v; want %q", name, err, test.want)
		}
	}
}
