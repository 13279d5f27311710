package dnslab

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// InNamespace runs a package's tests in a network namespace of their own, where only loopback exists and port 53 of every
// address in 127.0.0.0/8 is free. Call it from TestMain and exit with what it returns:
//
//	func TestMain(m *testing.M) { os.Exit(dnslab.InNamespace(m)) }
//
// The test binary runs itself a second time, with the same flags, in the namespace. Without root it needs user namespaces.
func InNamespace(m *testing.M) int {
	if os.Getenv(inside) != "" {
		if err := loopbackUp(); err != nil {
			fmt.Fprintf(os.Stderr, "dnslab: the loopback interface of the tests' network namespace can't be brought up: %v\n", err)
			return 1
		}
		return m.Run()
	}
	code, err := again()
	if err != nil {
		fmt.Fprintf(os.Stderr, "dnslab: these tests need a network namespace of their own, which can't be made here "+
			"(as root it takes CAP_SYS_ADMIN, else user namespaces must be allowed): %v\n", err)
		return 1
	}
	return code
}

// again runs this test binary in new namespaces, and returns the status that it exits with.
func again() (int, error) {
	// The kernel's death signal is tied to the thread that starts the child.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	folder, err := os.MkdirTemp("", "dnslab")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(folder)                            //nolint:errcheck // tests that end well have emptied it
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...) //nolint:noctx // it has the life of this process
	cmd.Args[0] = os.Args[0]
	cmd.Env = append(os.Environ(), inside+"="+folder)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	if os.Geteuid() != 0 {
		cmd.SysProcAttr.Cloneflags |= unix.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	}
	err = cmd.Run()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		if code := exit.ExitCode(); code > 0 {
			return code, nil
		}
		fmt.Fprintln(os.Stderr, "dnslab: the tests in the namespace were ended:", exit)
		return 1, nil
	}
	return 0, err
}

// AddAddress gives the loopback interface an address. Those in 127.0.0.0/8 answer without it, but named listens only where
// the interface says so; IPv6 has only ::1 otherwise. Fails outside of InNamespace.
func AddAddress(t testing.TB, address string) {
	t.Helper()
	if os.Getenv(inside) == "" {
		t.Fatal("dnslab's servers run in a network namespace of their own: call dnslab.InNamespace from TestMain")
	}
	ip, err := netip.ParseAddr(address)
	if err != nil {
		t.Fatal(err)
	}
	if ip.Is4() {
		err = addIPv4(ip)
	} else {
		err = addIPv6(ip)
	}
	if err != nil {
		t.Fatalf("add %s to the loopback interface: %v", address, err)
	}
}

// addIPv4 adds an alias, whose label is made of the address: to add it twice is to add it once (netdevice(7)).
func addIPv4(ip netip.Addr) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd) //nolint:errcheck // nothing was written
	alias, err := unix.NewIfreq(fmt.Sprintf("lo:%x", ip.As4()))
	if err != nil {
		return err
	}
	if err := alias.SetInet4Addr(ip.AsSlice()); err != nil {
		return err
	}
	return unix.IoctlIfreq(fd, unix.SIOCSIFADDR, alias)
}

// addIPv6 adds an address of its own, without a network (ipv6(7), struct in6_ifreq).
func addIPv6(ip netip.Addr) error {
	fd, err := unix.Socket(unix.AF_INET6, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd) //nolint:errcheck // nothing was written
	lo, err := net.InterfaceByName("lo")
	if err != nil {
		return err
	}
	request := struct {
		address      [16]byte
		prefixLength uint32
		index        int32
	}{ip.As16(), 128, int32(lo.Index)}
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCSIFADDR, uintptr(unsafe.Pointer(&request)))
	if errno != 0 && errno != unix.EEXIST {
		return errno
	}
	return awaitIPv6(ip)
}

// awaitIPv6 waits until a new address is no longer tentative (RFC 4862 §2): before that nobody can listen there.
func awaitIPv6(ip netip.Addr) error {
	deadline := time.After(patience)
	again := time.NewTicker(time.Millisecond)
	defer again.Stop()
	for {
		conn, err := net.ListenUDP("udp6", &net.UDPAddr{IP: ip.AsSlice()})
		if err == nil {
			return conn.Close()
		}
		select {
		case <-deadline:
			return err
		case <-again.C:
		}
	}
}

// loopbackUp does what `ip link set lo up` does; the kernel then adds 127.0.0.1/8 and ::1 by itself.
func loopbackUp() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd) //nolint:errcheck // nothing was written
	lo, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	if err := unix.IoctlIfreq(fd, unix.SIOCGIFFLAGS, lo); err != nil {
		return err
	}
	lo.SetUint16(lo.Uint16() | unix.IFF_UP)
	return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, lo)
}

// endWithParent makes a process end when the test process dies, however that dies, and lets it be ended with its children.
func endWithParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// signalGroup signals a process that has endWithParent, and its children.
func signalGroup(p *os.Process, s syscall.Signal) error { return syscall.Kill(-p.Pid, s) }
