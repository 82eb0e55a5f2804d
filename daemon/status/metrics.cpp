#include "daemon/status/metrics.hpp"

#include <initializer_list>
#include <string_view>
#include <utility>

#include <spdlog/fmt/fmt.h>

namespace seedbed {

namespace {

using label = std::pair<std::string_view, std::string_view>;
using labels = std::initializer_list<label>;

/// Writes one metric after another: a HELP and a TYPE line, then its samples.
class writer {
public:
    void counter(std::string_view name, std::string_view help) { begin(name, help, "counter"); }
    void gauge(std::string_view name, std::string_view help) { begin(name, help, "gauge"); }

    template <class Number>
    void sample(labels with, Number value) {
        m_text += m_name;
        char separator = '{';
        for (auto const& [name, text] : with) {
            m_text += separator;
            m_text += name;
            m_text += "=\"";
            add_escaped(text);
            m_text += '"';
            separator = ',';
        }
        if (with.size() > 0) {
            m_text += '}';
        }
        fmt::format_to(std::back_inserter(m_text), " {}\n", value);
    }
    void sample(labels with, bool value) { sample(with, value ? 1 : 0); }

    /// One sample per image.
    template <class Value>
    void images(status_snapshot const& snapshot, Value value) {
        for (auto const& image : snapshot.images) {
            sample({{"image", image.status.name}}, value(image.status));
        }
    }

    [[nodiscard]] std::string take() { return std::move(m_text); }

private:
    void begin(std::string_view name, std::string_view help, std::string_view type) {
        m_name = name;
        fmt::format_to(std::back_inserter(m_text), "# HELP {0} {1}\n# TYPE {0} {2}\n", name, help, type);
    }

    /// The format escapes only these three characters. Anything but printable ASCII becomes '?', because invalid UTF-8
    /// would invalidate the whole text.
    void add_escaped(std::string_view text) {
        for (auto const c : text) {
            switch (c) {
            case '\\':
                m_text += "\\\\";
                break;
            case '"':
                m_text += "\\\"";
                break;
            case '\n':
                m_text += "\\n";
                break;
            default:
                m_text += c >= ' ' && c <= '~' ? c : '?';
            }
        }
    }

    std::string m_name;
    std::string m_text;
};

void write_daemon(writer& out, status_snapshot const& snapshot) {
    out.gauge("seedbed_build_info", "The version of the program; always 1.");
    out.sample({{"version", snapshot.version}}, 1);
    out.gauge("seedbed_start_time_seconds", "Start of the daemon, in seconds since 1970.");
    out.sample({}, std::chrono::duration_cast<std::chrono::seconds>(snapshot.started.time_since_epoch()).count());
    out.gauge("seedbed_healthy", "Whether the network thread and all devices make progress, 0 or 1.");
    out.sample({}, snapshot.complaint().empty());
}

void write_states(writer& out, status_snapshot const& snapshot) {
    out.gauge("seedbed_image_info", "Mode, device and identity of an image; always 1.");
    for (auto const& [status, peers, fleet] : snapshot.images) {
        out.sample({{"image", status.name},
                    {"mode", to_string(status.mode)},
                    {"device", status.device},
                    {"info_hash", status.info_hash ? status.info_hash->to_hex() : ""},
                    {"class", status.detected ? to_string(*status.detected) : ""},
                    {"profile", status.profile ? to_string(*status.profile) : ""}},
                   1);
    }
    out.gauge("seedbed_image_state", "1 for the current state of the image, 0 for all others.");
    for (auto const& [status, peers, fleet] : snapshot.images) {
        for (int i = 0; i <= static_cast<int>(image_state::closed); ++i) {
            auto const state = static_cast<image_state>(i);
            out.sample({{"image", status.name}, {"state", to_string(state)}}, status.state == state);
        }
    }
    out.gauge("seedbed_image_progress_ratio",
              "Progress within the current state (check, download, verification), 0 to 1.");
    out.images(snapshot, [](auto const& status) { return status.fraction; });
    out.gauge("seedbed_image_state_duration_seconds", "Time in the current state.");
    out.images(snapshot, [](auto const& status) { return status.phase_seconds; });
    out.gauge("seedbed_image_durable", "Deploy: whether the whole image is flushed to the device, 0 or 1.");
    out.images(snapshot, [](auto const& status) { return status.durable; });
    out.gauge("seedbed_image_verified",
              "Deploy: whether the image was read back from the device and verified, 0 or 1.");
    out.images(snapshot, [](auto const& status) { return status.verified; });
}

void write_transfers(writer& out, status_snapshot const& snapshot) {
    out.gauge("seedbed_image_size_bytes", "Size of the image; 0 while it is not open.");
    out.images(snapshot, [](auto const& status) { return status.total_bytes; });
    out.gauge("seedbed_image_stored_bytes", "Bytes of the image on a device: more than its size if it is packed.");
    out.images(snapshot, [](auto const& status) { return status.unpacked_bytes.value_or(status.total_bytes); });
    out.gauge("seedbed_image_left_bytes", "Bytes still to be downloaded.");
    out.images(snapshot, [](auto const& status) { return status.bytes_left; });
    out.gauge("seedbed_image_peers", "Connections to peers.");
    out.images(snapshot, [](auto const& status) { return status.peers; });
    out.counter("seedbed_image_downloaded_bytes_total", "Payload bytes received from peers.");
    out.images(snapshot, [](auto const& status) { return status.downloaded; });
    out.counter("seedbed_image_uploaded_bytes_total", "Payload bytes sent to peers.");
    out.images(snapshot, [](auto const& status) { return status.uploaded; });
    out.counter("seedbed_image_device_read_bytes_total", "Bytes read from the image's device.");
    out.images(snapshot, [](auto const& status) { return status.device_read; });
    out.counter("seedbed_image_device_written_bytes_total", "Bytes written to the image's device.");
    out.images(snapshot, [](auto const& status) { return status.device_written; });
}

void write_fleets(writer& out, status_snapshot const& snapshot) {
    auto const each = [&](auto sample) {
        for (auto const& [status, peers, fleet] : snapshot.images) {
            if (fleet) {
                sample(status.name, *fleet);
            }
        }
    };
    out.gauge("seedbed_fleet_hosts", "Hosts in the current round of an image's deployment, by state.");
    each([&out](auto const& name, fleet_status const& fleet) {
        for (auto const state : host_states) {
            out.sample({{"image", name}, {"state", to_string(state)}}, fleet.count(state));
        }
    });
    out.gauge("seedbed_fleet_expected_hosts", "Hosts that should get the image, if configured.");
    each([&out](auto const& name, fleet_status const& fleet) {
        if (fleet.expected) {
            out.sample({{"image", name}}, *fleet.expected);
        }
    });
    out.gauge("seedbed_fleet_complete_hosts", "Hosts that have the image; only expected ones if they are listed by "
                                              "address.");
    each([&out](auto const& name, fleet_status const& fleet) { out.sample({{"image", name}}, fleet.complete); });
    out.gauge("seedbed_fleet_missing_hosts", "Expected hosts not seen in the current round.");
    each([&out](auto const& name, fleet_status const& fleet) { out.sample({{"image", name}}, fleet.missing); });
    out.gauge("seedbed_fleet_deployed", "Whether all expected hosts have the image, 0 or 1.");
    each([&out](auto const& name, fleet_status const& fleet) { out.sample({{"image", name}}, fleet.deployed); });
    out.gauge("seedbed_fleet_duration_seconds",
              "Time from the first host's start until all are complete, or until now.");
    each([&out](auto const& name, fleet_status const& fleet) { out.sample({{"image", name}}, fleet.seconds); });
}

void write_memory(writer& out, status_snapshot const& snapshot) {
    auto const& cache = snapshot.cache;
    out.counter("seedbed_cache_hits_total", "Block reads served from memory.");
    out.sample({}, cache.hits);
    out.counter("seedbed_cache_misses_total", "Block reads that went to a device.");
    out.sample({}, cache.misses);
    out.counter("seedbed_cache_locks_total", "Acquisitions of the cache's locks.");
    out.sample({}, cache.locks);
    out.counter("seedbed_cache_contended_locks_total", "Acquisitions that had to wait.");
    out.sample({}, cache.contended);
    out.gauge("seedbed_cache_bytes", "Blocks in memory: kept (clean), to be written (dirty), being read (filling).");
    out.sample({{"state", "clean"}}, cache.clean);
    out.sample({{"state", "dirty"}}, cache.dirty);
    out.sample({{"state", "filling"}}, cache.filling);
    out.gauge("seedbed_pool_capacity_bytes", "Memory for blocks.");
    out.sample({}, snapshot.pool.capacity);
    out.gauge("seedbed_pool_used_bytes", "Memory for blocks in use.");
    out.sample({}, snapshot.pool.used);
}

} // namespace

std::string to_metrics(status_snapshot const& snapshot) {
    writer out;
    write_daemon(out, snapshot);
    write_states(out, snapshot);
    write_transfers(out, snapshot);
    write_fleets(out, snapshot);
    write_memory(out, snapshot);
    return out.take();
}

} // namespace seedbed
