package collectors

// The families of mountstats.go: for each kind of line the place of a number in
// it (kernel: include/linux/nfs_iostat.h, include/linux/sunrpc/metrics.h).

import "watchpost/internal/expo"

// nfsNumber is a number of a line. Its unit is 1 where it is not told.
type nfsNumber struct {
	place  int
	family *expo.Family
	unit   float64
}

var mountstatsBytes = []nfsNumber{
	{0, expo.Counter("node_mountstats_nfs_read_bytes_total", "Bytes that applications read by read and its kin.", "export", "protocol", "mountaddr"), 1},
	{1, expo.Counter("node_mountstats_nfs_write_bytes_total", "Bytes that applications wrote by write and its kin.", "export", "protocol", "mountaddr"), 1},
	{2, expo.Counter("node_mountstats_nfs_direct_read_bytes_total", "Bytes that applications read past the cache (O_DIRECT).", "export", "protocol", "mountaddr"), 1},
	{3, expo.Counter("node_mountstats_nfs_direct_write_bytes_total", "Bytes that applications wrote past the cache (O_DIRECT).", "export", "protocol", "mountaddr"), 1},
	{4, expo.Counter("node_mountstats_nfs_total_read_bytes_total", "Bytes read from the server.", "export", "protocol", "mountaddr"), 1},
	{5, expo.Counter("node_mountstats_nfs_total_write_bytes_total", "Bytes written to the server.", "export", "protocol", "mountaddr"), 1},
	{6, expo.Counter("node_mountstats_nfs_read_pages_total", "Pages read for files mapped into memory.", "export", "protocol", "mountaddr"), 1},
	{7, expo.Counter("node_mountstats_nfs_write_pages_total", "Pages written for files mapped into memory.", "export", "protocol", "mountaddr"), 1},
}

// mountstatsEvents count what happened to the files of a mount. Place 18 was
// congestion, which kernels no longer count.
var mountstatsEvents = []nfsNumber{
	{0, expo.Counter("node_mountstats_nfs_event_inode_revalidate_total", "Times that cached attributes were compared with the server's.", "export", "protocol", "mountaddr"), 1},
	{1, expo.Counter("node_mountstats_nfs_event_dnode_revalidate_total", "Times that cached names were compared with the server's.", "export", "protocol", "mountaddr"), 1},
	{2, expo.Counter("node_mountstats_nfs_event_data_invalidate_total", "Times that the cached data of a file were dropped.", "export", "protocol", "mountaddr"), 1},
	{3, expo.Counter("node_mountstats_nfs_event_attribute_invalidate_total", "Times that cached attributes were dropped.", "export", "protocol", "mountaddr"), 1},
	{4, expo.Counter("node_mountstats_nfs_event_vfs_open_total", "Files and directories opened.", "export", "protocol", "mountaddr"), 1},
	{5, expo.Counter("node_mountstats_nfs_event_vfs_lookup_total", "Names looked up in directories.", "export", "protocol", "mountaddr"), 1},
	{6, expo.Counter("node_mountstats_nfs_event_vfs_access_total", "Times that permissions were checked.", "export", "protocol", "mountaddr"), 1},
	{7, expo.Counter("node_mountstats_nfs_event_vfs_update_page_total", "Pages changed.", "export", "protocol", "mountaddr"), 1},
	{8, expo.Counter("node_mountstats_nfs_event_vfs_read_page_total", "Pages read one by one.", "export", "protocol", "mountaddr"), 1},
	{9, expo.Counter("node_mountstats_nfs_event_vfs_read_pages_total", "Times that several pages were read at once.", "export", "protocol", "mountaddr"), 1},
	{10, expo.Counter("node_mountstats_nfs_event_vfs_write_page_total", "Pages written one by one.", "export", "protocol", "mountaddr"), 1},
	{11, expo.Counter("node_mountstats_nfs_event_vfs_write_pages_total", "Times that several pages were written at once.", "export", "protocol", "mountaddr"), 1},
	{12, expo.Counter("node_mountstats_nfs_event_vfs_getdents_total", "Times that the entries of a directory were read.", "export", "protocol", "mountaddr"), 1},
	{13, expo.Counter("node_mountstats_nfs_event_vfs_setattr_total", "Times that attributes were set.", "export", "protocol", "mountaddr"), 1},
	{14, expo.Counter("node_mountstats_nfs_event_vfs_flush_total", "Times that what was not written yet was sent to the server, as at close.", "export", "protocol", "mountaddr"), 1},
	{15, expo.Counter("node_mountstats_nfs_event_vfs_fsync_total", "Calls of fsync.", "export", "protocol", "mountaddr"), 1},
	{16, expo.Counter("node_mountstats_nfs_event_vfs_lock_total", "Attempts to lock a file or a part of it.", "export", "protocol", "mountaddr"), 1},
	{17, expo.Counter("node_mountstats_nfs_event_vfs_file_release_total", "Files closed for good.", "export", "protocol", "mountaddr"), 1},
	{19, expo.Counter("node_mountstats_nfs_event_truncation_total", "Files cut short.", "export", "protocol", "mountaddr"), 1},
	{20, expo.Counter("node_mountstats_nfs_event_write_extension_total", "Files made longer by a write beyond their end.", "export", "protocol", "mountaddr"), 1},
	{21, expo.Counter("node_mountstats_nfs_event_silly_rename_total", "Files removed while they were open, and so renamed for the time being.", "export", "protocol", "mountaddr"), 1},
	{22, expo.Counter("node_mountstats_nfs_event_short_read_total", "Reads that the server answered with fewer bytes than asked for.", "export", "protocol", "mountaddr"), 1},
	{23, expo.Counter("node_mountstats_nfs_event_short_write_total", "Writes of which the server took fewer bytes than sent.", "export", "protocol", "mountaddr"), 1},
	{24, expo.Counter("node_mountstats_nfs_event_jukebox_delay_total", "Times that the server asked for patience, while it got a file from slow storage.", "export", "protocol", "mountaddr"), 1},
	{25, expo.Counter("node_mountstats_nfs_event_pnfs_read_total", "Reads by parallel NFS.", "export", "protocol", "mountaddr"), 1},
	{26, expo.Counter("node_mountstats_nfs_event_pnfs_write_total", "Writes by parallel NFS.", "export", "protocol", "mountaddr"), 1},
}

// mountstatsTransports are the numbers of a connection to the server.
var mountstatsTransports = []nfsNumber{
	{1, expo.Counter("node_mountstats_nfs_transport_bind_total", "Times that a port was bound for the connection.", "export", "protocol", "mountaddr", "transport"), 1},
	{2, expo.Counter("node_mountstats_nfs_transport_connect_total", "TCP connections made.", "export", "protocol", "mountaddr", "transport"), 1},
	{4, expo.Gauge("node_mountstats_nfs_transport_idle_time_seconds", "Time since something was sent or received.", "export", "protocol", "mountaddr", "transport"), 1},
	{5, expo.Counter("node_mountstats_nfs_transport_sends_total", "Requests sent.", "export", "protocol", "mountaddr", "transport"), 1},
	{6, expo.Counter("node_mountstats_nfs_transport_receives_total", "Answers received.", "export", "protocol", "mountaddr", "transport"), 1},
	{7, expo.Counter("node_mountstats_nfs_transport_bad_transaction_ids_total", "Answers to no request that is known.", "export", "protocol", "mountaddr", "transport"), 1},
	{9, expo.Counter("node_mountstats_nfs_transport_backlog_queue_total", "Lengths of the queue for a slot, added up at each request.", "export", "protocol", "mountaddr", "transport"), 1},
	{10, expo.Gauge("node_mountstats_nfs_transport_maximum_rpc_slots", "Most requests that were unanswered at the same time.", "export", "protocol", "mountaddr", "transport"), 1},
	{11, expo.Counter("node_mountstats_nfs_transport_sending_queue_total", "Lengths of the queue to be sent, added up at each request.", "export", "protocol", "mountaddr", "transport"), 1},
	{12, expo.Counter("node_mountstats_nfs_transport_pending_queue_total", "Lengths of the queue for an answer, added up at each request.", "export", "protocol", "mountaddr", "transport"), 1},
}

// mountstatsOperations are the numbers of an operation of the protocol. Its times
// are in milliseconds.
var mountstatsOperations = []nfsNumber{
	{0, expo.Counter("node_mountstats_nfs_operations_requests_total", "Requests.", "export", "protocol", "mountaddr", "operation"), 1},
	{1, expo.Counter("node_mountstats_nfs_operations_transmissions_total", "Requests sent, those sent again counted too.", "export", "protocol", "mountaddr", "operation"), 1},
	{2, expo.Counter("node_mountstats_nfs_operations_major_timeouts_total", "Requests that the server did not answer within the longest time allowed.", "export", "protocol", "mountaddr", "operation"), 1},
	{3, expo.Counter("node_mountstats_nfs_operations_sent_bytes_total", "Bytes sent, headers included.", "export", "protocol", "mountaddr", "operation"), 1},
	{4, expo.Counter("node_mountstats_nfs_operations_received_bytes_total", "Bytes received, headers included.", "export", "protocol", "mountaddr", "operation"), 1},
	{5, expo.Counter("node_mountstats_nfs_operations_queue_time_seconds_total", "Time that requests waited to be sent.", "export", "protocol", "mountaddr", "operation"), 0.001},
	{6, expo.Counter("node_mountstats_nfs_operations_response_time_seconds_total", "Time from sending requests to their answers.", "export", "protocol", "mountaddr", "operation"), 0.001},
	{7, expo.Counter("node_mountstats_nfs_operations_request_time_seconds_total", "Time from making requests to having dealt with them.", "export", "protocol", "mountaddr", "operation"), 0.001},
}
