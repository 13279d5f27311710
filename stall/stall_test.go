package stall_test

import (
	"net"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/evercert/evercert/stall"
)

func TestAWriteToAClientThatReadsNothingFails(t *testing.T) {
	t.Parallel()
	open, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, open.Close()) })
	client, err := net.Dial("tcp", open.Addr().String())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, client.Close()) })
	conn, err := stall.Listener{Listener: open, Limit: 100 * time.Millisecond}.Accept()
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, conn.Close()) })

	for err == nil { // until the buffers of both sides are full
		_, err = conn.Write(make([]byte, 1<<20))
	}
	require.ErrorIs(t, err, os.ErrDeadlineExceeded)
}
