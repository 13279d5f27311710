package e2e

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
)

// compose is the part of docker-compose.yml that has to agree with something else.
type compose struct {
	Services map[string]struct {
		Image       string            `yaml:"image"`
		Build       string            `yaml:"build"`
		Environment map[string]string `yaml:"environment"`
		Ports       []string          `yaml:"ports"`
		Volumes     []string          `yaml:"volumes"`
	} `yaml:"services"`
	Volumes map[string]any `yaml:"volumes"`
}

// programs are the product's services and the folders of their source.
var programs = map[string]string{"worker": "worker", "api": "api", "edge": "edge", "evercert": "starter"}

func readRoot(t *testing.T, name string) string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("..", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

func readCompose(t *testing.T) compose {
	t.Helper()
	var c compose
	if err := yaml.Unmarshal([]byte(readRoot(t, "docker-compose.yml")), &c); err != nil {
		t.Fatal(err)
	}
	return c
}

// tableRow is a row of a table whose first cell is code: its first three cells.
var tableRow = regexp.MustCompile("(?m)^\\| `([^`]+)` \\|([^|]*)\\|([^|]*)\\|$")

// documented returns the rows of the table under a heading of docs/config.md.
func documented(t *testing.T, heading string) [][]string {
	t.Helper()
	_, section, found := strings.Cut(readRoot(t, "docs/config.md"), "\n## "+heading+"\n")
	if !found {
		t.Fatalf("docs/config.md has no section %q", heading)
	}
	section, _, _ = strings.Cut(section, "\n## ")
	var rows [][]string
	for _, match := range tableRow.FindAllStringSubmatch(section, -1) {
		rows = append(rows, []string{match[1], strings.TrimSpace(match[2]), strings.TrimSpace(match[3])})
	}
	return rows
}

func TestEverySettingIsDocumentedWithItsDefault(t *testing.T) {
	t.Parallel()
	for heading, folder := range programs {
		t.Run(heading, func(t *testing.T) {
			t.Parallel()
			got, want := map[string]string{}, map[string]string{}
			for _, row := range documented(t, heading) {
				got[row[0]] = strings.Trim(row[1], "`")
			}
			for name, s := range settingsOf(t, folder) {
				want[name] = s.fallback
			}
			for _, name := range slices.Sorted(maps.Keys(want)) {
				if fallback, ok := got[name]; !ok {
					t.Errorf("%s has no row", name)
				} else if fallback != want[name] {
					t.Errorf("%s has the default %q in the table and %q in the code", name, fallback, want[name])
				}
				delete(got, name)
			}
			for _, name := range slices.Sorted(maps.Keys(got)) {
				t.Errorf("%s has a row, but the program doesn't read it", name)
			}
		})
	}
}

// The text is also what a process says that it expects when a setting is missing.
func TestEverySettingSaysWhatItMeans(t *testing.T) {
	t.Parallel()
	for _, folder := range programs {
		for _, s := range settingsOf(t, folder) {
			if s.doc == "" {
				t.Errorf("%s: %s has no doc tag", folder, s.name)
			}
		}
	}
}

// secondCA begins the settings of a second CA, which are like those of the first.
var secondCA = regexp.MustCompile(`^ACME_2_`)

func TestComposeGivesEachProgramWhatItReads(t *testing.T) {
	t.Parallel()
	services := readCompose(t).Services
	for service, folder := range programs {
		given, settings := services[service].Environment, settingsOf(t, folder)
		also := map[string]setting{}
		if service == "evercert" {
			also = settingsIn(t, folder, "doctorSettings") // of one command, which works without
		}
		for name := range given {
			_, optional := also[name]
			name = secondCA.ReplaceAllString(name, "ACME_")
			if _, ok := settings[name]; !ok && !optional {
				t.Errorf("%s is given %s, which it doesn't read", service, name)
			}
		}
		for name, s := range settings {
			if _, ok := given[name]; !ok && s.fallback == required {
				t.Errorf("%s is not given %s, which it needs", service, name)
			}
		}
	}
}

func TestComposeAsksForWhatTheExampleEnvironmentHas(t *testing.T) {
	t.Parallel()
	names := func(pattern, file string) []string {
		found := map[string]bool{}
		for _, match := range regexp.MustCompile(pattern).FindAllStringSubmatch(readRoot(t, file), -1) {
			found[match[1]] = true
		}
		return slices.Sorted(maps.Keys(found))
	}
	asked, offered := names(`\$\{([A-Z0-9_]+)`, "docker-compose.yml"), names(`(?m)^([A-Z0-9_]+)=`, ".env.example")
	if !slices.Equal(asked, offered) {
		t.Errorf("docker-compose.yml asks for\n%v\nand .env.example offers\n%v", asked, offered)
	}
	documented := readRoot(t, "docs/config.md")
	for _, name := range offered {
		if !strings.Contains(documented, "`"+name+"`") {
			t.Errorf("docs/config.md doesn't have %s", name)
		}
	}
}

func TestPublishedPortsAreDocumented(t *testing.T) {
	t.Parallel()
	var published, listed []string
	for service, s := range readCompose(t).Services {
		for _, port := range s.Ports {
			at := strings.LastIndex(port, ":")
			protocol := ""
			if _, name, ok := strings.Cut(port, "/"); ok {
				protocol = "/" + name
			}
			published = append(published, port[:at]+protocol+" "+service)
		}
	}
	for _, row := range documented(t, "Docker") {
		listed = append(listed, row[0]+" "+row[1])
	}
	slices.Sort(published)
	slices.Sort(listed)
	if len(published) == 0 || !slices.Equal(published, listed) {
		t.Errorf("published\n%v\ndocumented\n%v", published, listed)
	}
}

// TestTheEdgesCopyIsOnAVolume: the image can't be written, and a copy in the container would go with it. The folder is the user's in the
// image, and so in a new volume.
func TestTheEdgesCopyIsOnAVolume(t *testing.T) {
	t.Parallel()
	c, folder := readCompose(t), settingsOf(t, "edge")["EDGE_COPY_DIR"].fallback
	if given, ok := c.Services["edge"].Environment["EDGE_COPY_DIR"]; ok {
		folder = given
	}
	volume := ""
	for _, mount := range c.Services["edge"].Volumes {
		if name, at, _ := strings.Cut(mount, ":"); at == folder {
			volume = name
		}
	}
	if _, ok := c.Volumes[volume]; !ok {
		t.Errorf("no volume is mounted at %s", folder)
	}
	if !strings.Contains(readRoot(t, "Dockerfile"), "--chown=65532:65532 /state/ "+filepath.Dir(folder)+"/\n") {
		t.Errorf("the image has no %s that the process may write", filepath.Dir(folder))
	}
}

// pinned is an image with a tag that names a version or a variant of one.
var pinned = regexp.MustCompile(`^[a-z0-9./-]+:[a-z0-9][a-z0-9.-]*$`)

func TestImagesArePinned(t *testing.T) {
	t.Parallel()
	var images []string
	for service, s := range readCompose(t).Services {
		if s.Image == "" {
			t.Errorf("%s has no image", service)
		}
		images = append(images, s.Image)
	}
	for _, match := range regexp.MustCompile(`(?m)(?:^FROM |--from=)(\S+)`).FindAllStringSubmatch(readRoot(t, "Dockerfile"), -1) {
		if match[1] != "build" { // the first stage
			images = append(images, match[1])
		}
	}
	for _, image := range images {
		if !pinned.MatchString(image) || strings.HasSuffix(image, ":latest") {
			t.Errorf("%s is not pinned", image)
		}
	}
}

// What the tests run, by devstack, is what runs in production.
func TestImagesHaveTheVersionsThatDevstackEmbeds(t *testing.T) {
	t.Parallel()
	services, modules := readCompose(t).Services, readRoot(t, "devstack/go.mod")
	for service, module := range map[string]string{
		"temporal": "go.temporal.io/server", "temporal-schema": "go.temporal.io/server", "temporal-namespace": "go.temporal.io/server",
		"temporal-ui": "github.com/temporalio/ui-server/v2", "test-ca": "github.com/letsencrypt/pebble/v2",
	} {
		_, version, _ := strings.Cut(services[service].Image, ":")
		if !strings.Contains(modules, module+" v"+version+"\n") {
			t.Errorf("%s runs %s, which is not the version of %s in devstack/go.mod", service, services[service].Image, module)
		}
	}
}
