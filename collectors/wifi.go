package collectors

// Wireless interfaces and the stations that they talk to, by generic netlink
// (nl80211, linux/nl80211.h).

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"

	"github.com/mdlayher/wifi"

	"watchpost/internal/expo"
	"watchpost/internal/hostfs"
)

var (
	wifiFrequency = expo.Gauge("node_wifi_interface_frequency_hertz", "Frequency that the interface is on.", "device")
	wifiInfo      = expo.Gauge("node_wifi_station_info", "The network that the interface is in, and how; always 1.", "device", "bssid", "ssid", "mode")
)

// wifiStation are the families of each station and what they tell.
var wifiStation = []struct {
	family *expo.Family
	value  func(*wifi.StationInfo) float64
}{
	{expo.Counter("node_wifi_station_connected_seconds_total", "How long the station has been connected.", "device", "mac_address"), func(s *wifi.StationInfo) float64 { return s.Connected.Seconds() }},
	{expo.Gauge("node_wifi_station_inactive_seconds", "How long nothing was heard of the station.", "device", "mac_address"), func(s *wifi.StationInfo) float64 { return s.Inactive.Seconds() }},
	{expo.Gauge("node_wifi_station_receive_bits_per_second", "Rate at which the station's packets are received.", "device", "mac_address"), func(s *wifi.StationInfo) float64 { return float64(s.ReceiveBitrate) }},
	{expo.Gauge("node_wifi_station_transmit_bits_per_second", "Rate at which packets are sent to the station.", "device", "mac_address"), func(s *wifi.StationInfo) float64 { return float64(s.TransmitBitrate) }},
	{expo.Counter("node_wifi_station_receive_bytes_total", "Bytes received from the station.", "device", "mac_address"), func(s *wifi.StationInfo) float64 { return float64(s.ReceivedBytes) }},
	{expo.Counter("node_wifi_station_transmit_bytes_total", "Bytes sent to the station.", "device", "mac_address"), func(s *wifi.StationInfo) float64 { return float64(s.TransmittedBytes) }},
	{expo.Gauge("node_wifi_station_signal_dbm", "Strength of the station's signal.", "device", "mac_address"), func(s *wifi.StationInfo) float64 { return float64(s.Signal) }},
	{expo.Counter("node_wifi_station_transmit_retries_total", "Packets that had to be sent to the station again.", "device", "mac_address"), func(s *wifi.StationInfo) float64 { return float64(s.TransmitRetries) }},
	{expo.Counter("node_wifi_station_transmit_failed_total", "Packets that could not be sent to the station.", "device", "mac_address"), func(s *wifi.StationInfo) float64 { return float64(s.TransmitFailed) }},
	{expo.Counter("node_wifi_station_beacon_loss_total", "Times the station's beacons were missed.", "device", "mac_address"), func(s *wifi.StationInfo) float64 { return float64(s.BeaconLoss) }},
	{expo.Counter("node_wifi_station_transmitted_packets_total", "Packets sent to the station.", "device", "mac_address"), func(s *wifi.StationInfo) float64 { return float64(s.TransmittedPackets) }},
	{expo.Counter("node_wifi_station_received_packets_total", "Packets received from the station.", "device", "mac_address"), func(s *wifi.StationInfo) float64 { return float64(s.ReceivedPackets) }},
}

// WifiConfig configures the wifi collector.
type WifiConfig struct {
	Fixtures string // for tests: a folder whose JSON files are read instead of asking the kernel
}

// wifiSource tells of wireless interfaces, as wifi.Client does. What an interface
// does not have is fs.ErrNotExist.
type wifiSource interface {
	Interfaces() ([]*wifi.Interface, error)
	BSS(*wifi.Interface) (*wifi.BSS, error)
	StationInfo(*wifi.Interface) ([]*wifi.StationInfo, error)
}

type wifiCollector struct {
	fixtures string
	client   *wifi.Client // nil: not open
}

// wifiDevice is an interface and what it is connected to.
type wifiDevice struct {
	*wifi.Interface
	bss      *wifi.BSS // nil: in no network
	stations []wifiPeer
}

type wifiPeer struct {
	address string
	*wifi.StationInfo
}

func newWifi(c Config) (Collector, error) { return &wifiCollector{fixtures: c.Wifi.Fixtures}, nil }

// Collect implements Collector. An interface that cannot be asked loses what it
// would have said.
func (c *wifiCollector) Collect(ctx context.Context, w *expo.Writer) error {
	source, err := c.open(ctx)
	if err != nil {
		return err
	}
	devices, err := readWifi(source)
	if err != nil && c.client != nil { // what is left in the socket belongs to nobody
		c.client.Close()
		c.client = nil
	}
	writeWifi(w, devices)
	return err
}

// wifiTimeout is how long the kernel is waited for.
const wifiTimeout = 5 * time.Second

// open is where to ask. A kernel without nl80211, or one that does not let us ask,
// has no data.
func (c *wifiCollector) open(ctx context.Context) (wifiSource, error) {
	if c.fixtures != "" {
		return wifiFixtures(c.fixtures), nil
	}
	if c.client == nil {
		client, err := wifi.New()
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
			return nil, fmt.Errorf("%w: nl80211: %w", ErrNoData, err)
		}
		if err != nil {
			return nil, fmt.Errorf("nl80211: %w", err)
		}
		c.client = client
	}
	if err := c.client.SetDeadline(time.Now().Add(within(ctx, wifiTimeout))); err != nil {
		return nil, fmt.Errorf("nl80211: %w", err)
	}
	return c.client, nil
}

// readWifi asks for every interface that has a name (virtual ones can be without).
func readWifi(source wifiSource) ([]wifiDevice, error) {
	interfaces, err := source.Interfaces()
	if err != nil {
		return nil, fmt.Errorf("list of wireless interfaces: %w", err)
	}
	var devices []wifiDevice
	var failed []error
	for _, i := range interfaces {
		if i.Name == "" {
			continue
		}
		d := wifiDevice{Interface: i}
		if d.bss, err = source.BSS(i); err != nil {
			d.bss = nil
			if !hostfs.Gone(err) {
				failed = append(failed, fmt.Errorf("network of %s: %w", i.Name, err))
			}
		}
		stations, err := source.StationInfo(i)
		if err != nil && !hostfs.Gone(err) {
			failed = append(failed, fmt.Errorf("stations of %s: %w", i.Name, err))
		}
		for _, s := range stations {
			d.stations = append(d.stations, wifiPeer{s.HardwareAddr.String(), s})
		}
		devices = append(devices, d)
	}
	return devices, errors.Join(failed...)
}

func writeWifi(w *expo.Writer, devices []wifiDevice) {
	for _, d := range devices {
		w.Sample(wifiFrequency, float64(d.Frequency)*1e6, d.Name)
	}
	for _, d := range devices {
		if d.bss != nil {
			w.Uint(wifiInfo, 1, d.Name, d.bss.BSSID.String(), d.bss.SSID, wifiMode(d.bss.Status))
		}
	}
	for _, f := range wifiStation {
		for _, d := range devices {
			for _, s := range d.stations {
				w.Sample(f.family, f.value(s.StationInfo), d.Name, s.address)
			}
		}
	}
}

func wifiMode(s wifi.BSSStatus) string {
	switch s {
	case wifi.BSSStatusAuthenticated, wifi.BSSStatusAssociated:
		return "client"
	case wifi.BSSStatusIBSSJoined:
		return "ad-hoc"
	}
	return "unknown"
}

// wifiFixtures is a folder with interfaces.json, and for each interface a folder
// with bss.json and stationinfo.json where it has such.
type wifiFixtures string

func (f wifiFixtures) Interfaces() (all []*wifi.Interface, err error) {
	var read []wifi.Interface
	err = f.read(&read, "interfaces.json")
	for i := range read {
		all = append(all, &read[i])
	}
	return all, err
}

func (f wifiFixtures) BSS(i *wifi.Interface) (*wifi.BSS, error) {
	var bss wifi.BSS
	return &bss, f.read(&bss, i.Name, "bss.json")
}

func (f wifiFixtures) StationInfo(i *wifi.Interface) (all []*wifi.StationInfo, err error) {
	var read []wifi.StationInfo
	err = f.read(&read, i.Name, "stationinfo.json")
	for s := range read {
		all = append(all, &read[s])
	}
	return all, err
}

func (f wifiFixtures) read(into any, path ...string) error {
	name := filepath.Join(string(f), filepath.Join(path...))
	b, err := hostfs.Read(name)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(b, into); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}
