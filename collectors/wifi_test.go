package collectors

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mdlayher/wifi"

	"watchpost/internal/expo"
)

var wifiFiles = map[string]string{
	"interfaces.json":        `[{"name": "wlan0", "type": 2, "frequency": 5180}, {"name": "wlan1", "type": 3, "frequency": 2412}, {"type": 10}]`,
	"wlan0/bss.json":         `{"ssid": "attic", "bssid": "AgAAAAAB", "status": 1}`,
	"wlan0/stationinfo.json": `[{"hardwareaddr": "AgAAAAAC", "connected": 95000000000, "inactive": 400000000, "receivedbytes": 1, "transmittedbytes": 2, "receivedpackets": 3, "transmittedpackets": 4, "receivebitrate": 5, "transmitbitrate": 6, "signal": -61, "transmitretries": 7, "transmitfailed": 8, "beaconloss": 9}]`,
}

const wifiWant = `# TYPE node_wifi_interface_frequency_hertz gauge
node_wifi_interface_frequency_hertz{device="wlan0"} 5180000000
node_wifi_interface_frequency_hertz{device="wlan1"} 2412000000
# TYPE node_wifi_station_info gauge
node_wifi_station_info{device="wlan0",bssid="02:00:00:00:00:01",ssid="attic",mode="client"} 1
# TYPE node_wifi_station_connected_seconds_total counter
node_wifi_station_connected_seconds_total{device="wlan0",mac_address="02:00:00:00:00:02"} 95
# TYPE node_wifi_station_inactive_seconds gauge
node_wifi_station_inactive_seconds{device="wlan0",mac_address="02:00:00:00:00:02"} 0.4
# TYPE node_wifi_station_receive_bits_per_second gauge
node_wifi_station_receive_bits_per_second{device="wlan0",mac_address="02:00:00:00:00:02"} 5
# TYPE node_wifi_station_transmit_bits_per_second gauge
node_wifi_station_transmit_bits_per_second{device="wlan0",mac_address="02:00:00:00:00:02"} 6
# TYPE node_wifi_station_receive_bytes_total counter
node_wifi_station_receive_bytes_total{device="wlan0",mac_address="02:00:00:00:00:02"} 1
# TYPE node_wifi_station_transmit_bytes_total counter
node_wifi_station_transmit_bytes_total{device="wlan0",mac_address="02:00:00:00:00:02"} 2
# TYPE node_wifi_station_signal_dbm gauge
node_wifi_station_signal_dbm{device="wlan0",mac_address="02:00:00:00:00:02"} -61
# TYPE node_wifi_station_transmit_retries_total counter
node_wifi_station_transmit_retries_total{device="wlan0",mac_address="02:00:00:00:00:02"} 7
# TYPE node_wifi_station_transmit_failed_total counter
node_wifi_station_transmit_failed_total{device="wlan0",mac_address="02:00:00:00:00:02"} 8
# TYPE node_wifi_station_beacon_loss_total counter
node_wifi_station_beacon_loss_total{device="wlan0",mac_address="02:00:00:00:00:02"} 9
# TYPE node_wifi_station_transmitted_packets_total counter
node_wifi_station_transmitted_packets_total{device="wlan0",mac_address="02:00:00:00:00:02"} 4
# TYPE node_wifi_station_received_packets_total counter
node_wifi_station_received_packets_total{device="wlan0",mac_address="02:00:00:00:00:02"} 3
`

func TestWifi(t *testing.T) {
	cfg := on(tree(t, wifiFiles))
	cfg.Wifi.Fixtures = cfg.FS.Root
	same(t, render(t, make1(t, "wifi", cfg)), wifiWant)

	write(t, filepath.Join(cfg.FS.Root, "wlan0/bss.json"), "{", false)
	text, err := renderErr(make1(t, "wifi", cfg))
	if err == nil || !strings.Contains(err.Error(), "wlan0") || strings.Contains(text, "station_info") || !strings.Contains(text, "signal_dbm") {
		t.Errorf("said %s, %v", text, err)
	}
}

// brokenWifi has one interface that fails and one that does not.
type brokenWifi struct{ wifiFixtures }

func (b brokenWifi) StationInfo(i *wifi.Interface) ([]*wifi.StationInfo, error) {
	if i.Name == "wlan1" {
		return nil, errors.New("firmware died")
	}
	return b.wifiFixtures.StationInfo(i)
}

func TestWifiOneFails(t *testing.T) {
	devices, err := readWifi(brokenWifi{wifiFixtures(tree(t, wifiFiles).Root)})
	if err == nil || !strings.Contains(err.Error(), "stations of wlan1: firmware died") {
		t.Error(err)
	}
	var w expo.Writer
	writeWifi(&w, devices)
	if v := values(t, string(w.Bytes())); len(v) != 2+1+len(wifiStation) {
		t.Errorf("%d series: %v", len(v), v)
	}
}

func TestWifiMode(t *testing.T) {
	for status, want := range map[wifi.BSSStatus]string{
		wifi.BSSStatusAuthenticated: "client", wifi.BSSStatusAssociated: "client", wifi.BSSStatusIBSSJoined: "ad-hoc", wifi.BSSStatusNotAssociated: "unknown",
	} {
		if got := wifiMode(status); got != want {
			t.Errorf("%v: got %s, want %s", status, got, want)
		}
	}
}

func FuzzWifi(f *testing.F) {
	f.Add(wifiFiles["interfaces.json"], wifiFiles["wlan0/bss.json"], wifiFiles["wlan0/stationinfo.json"])
	f.Add("[null]", "null", "[null]")
	f.Fuzz(func(t *testing.T, interfaces, bss, stations string) {
		fs := tree(t, map[string]string{"interfaces.json": interfaces, "wlan0/bss.json": bss, "wlan0/stationinfo.json": stations})
		devices, _ := readWifi(wifiFixtures(fs.Root))
		var w expo.Writer
		writeWifi(&w, devices)
		readable(t, []byte(interfaces), &w)
	})
}
