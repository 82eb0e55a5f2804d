#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "config/settings.hpp"
#include "core/foundation/error.hpp"
#include "core/foundation/info_hash.hpp"
#include "core/foundation/worker_pool.hpp"
#include "daemon/fleet/image_catalog.hpp"
#include "daemon/image/device_session.hpp"
#include "daemon/image/image_context.hpp"
#include "daemon/image/image_failure.hpp"
#include "daemon/image/image_opener.hpp"
#include "daemon/image/image_run.hpp"
#include "daemon/image/image_services.hpp"
#include "daemon/image/image_state.hpp"
#include "daemon/image/image_status.hpp"
#include "daemon/image/main_calls.hpp"
#include "daemon/image/swarm_membership.hpp"
#include "daemon/swarm/torrent_listener.hpp"

namespace seedbed {

/// The life of one image, from opening its device to closing it. Holds the state and switches between the parts:
/// device_session opens and closes, deploy_run or seed_run does the work between, swarm_membership joins and leaves.
///
/// Threads: confined to the main thread; blocking work runs on workers.
class image_runner final : public torrent_listener, private image_context {
public:
    image_runner(image_settings wanted, image_services services);
    image_runner(image_runner const&) = delete;
    image_runner& operator=(image_runner const&) = delete;
    ~image_runner();

    /// Opens the device and joins the swarm. Must be called once.
    void start();
    /// Leaves the swarm, flushes, and closes the device. \p closed is called after that, immediately if nothing is
    /// open. Must be called once; the image must not be destroyed from within \p closed.
    void close(std::function<void()> closed);

    /// Applies settings that can change while the image is in use: peers, trackers, limits and profile.
    void update(image_settings const& wanted);
    /// Applies the current settings of its profile.
    void apply_profile();
    /// Applies the current interval between checkpoints.
    void apply_resume();

    [[nodiscard]] image_settings const& settings() const override { return m_settings; }
    [[nodiscard]] image_state state() const override { return m_state; }
    /// Nothing until the torrent is loaded.
    [[nodiscard]] std::optional<seedbed::info_hash> const& info_hash() const noexcept { return m_info_hash; }
    /// The info-hashes that its clients announce; empty unless the device is open.
    [[nodiscard]] std::vector<seedbed::info_hash> announced_hashes() const;
    /// The .torrent file as it was loaded.
    [[nodiscard]] file_stamp const& torrent_stamp() const noexcept { return m_stamp; }
    /// The file has changed, but not its info-hash. \p served as in opened_image.
    void set_torrent_file(file_stamp const& stamp, std::shared_ptr<served_torrent const> served) {
        m_stamp = stamp;
        m_torrent_file = std::move(served);
    }
    /// Nothing unless the image is being seeded, and image_services::serve_torrents is set.
    [[nodiscard]] std::optional<catalog_image> in_catalog() const;

    /// Whether bytes move or are about to: the status changes every second.
    [[nodiscard]] bool is_moving() const;
    [[nodiscard]] image_status status() const;
    /// Time spent in each state until now.
    [[nodiscard]] std::map<image_state, double> seconds() const;
    /// Calls \p call on the main thread with the connected peers, or with none if the image is not in the swarm; never
    /// if the image is gone by then.
    void request_peers(std::function<void(std::vector<peer_status> const&)> call) {
        request_peers(m_services.setup, std::move(call));
    }
    /// The same; \p worker waits for libtorrent.
    void request_peers(worker_pool& worker, std::function<void(std::vector<peer_status> const&)> call);
    /// Logs the progress. Does nothing if the image is idle, or a seed that has uploaded nothing since the last call.
    void log_summary();

    /// Progress of the device's queue, for the watchdog; while a worker opens the device, the attempt counts as one
    /// pending job. Nothing before that and after the device was closed.
    [[nodiscard]] std::optional<worker_pool::progress> queue_progress() const;
    /// The device hangs: see device_session::replace_worker().
    void on_hang() { m_device.replace_worker(); }
    /// Whether the device is being opened and on_hang() was called.
    [[nodiscard]] bool hangs_in_opening() const noexcept { return m_device.worker_replaced(); }

    void on_checked() override;
    void on_complete() override;
    void on_content_differs() override;
    void on_pieces(std::vector<bool> const& written) override;
    void on_piece_damaged(int piece) override;
    void on_peer_banned(boost::asio::ip::tcp::endpoint const& peer, int other_sources) override;
    void on_torrent_error(std::string const& reason) override;
    void on_progress(torrent_progress const& progress) override;
    void on_removed() override;

private:
    using clock = std::chrono::steady_clock;

    // image_context, for the parts.
    [[nodiscard]] image_services const& services() const override { return m_services; }
    [[nodiscard]] std::shared_ptr<served_image> const& image() const override { return m_device.image(); }
    [[nodiscard]] target_facts const& facts() const override { return m_facts; }
    [[nodiscard]] std::string receipt(disk_layout const* written) const override;
    [[nodiscard]] double age_seconds() const override;
    [[nodiscard]] double phase_seconds() const override;
    [[nodiscard]] io_profile const& profile() const override;
    [[nodiscard]] torrent_progress& progress() override { return m_progress; }
    [[nodiscard]] swarm_membership& membership() override { return m_membership; }
    [[nodiscard]] torrent_spec make_spec() const override;
    void join(torrent_spec const& spec) override { m_membership.join(spec, *this); }
    void enter(image_state next) override;
    void fail(image_failure const& why) override;

    void on_opened(result<opened_image, image_failure> const& outcome);
    /// Reports a deployment whose device was refused.
    void report_refusal(image_failure const& why);
    void set_state(image_state next);
    void leave_swarm();
    /// The image has left the swarm: flushes the written data unless the image failed, and releases the device.
    void wind_up();
    void on_device_closed();
    [[nodiscard]] double phase_fraction() const;

    image_settings m_settings;
    image_services const m_services;
    image_state m_state = image_state::opening;
    image_failure m_failure;
    target_facts m_facts;
    device_session m_device{m_services};
    swarm_membership m_membership{m_services.swarm};
    std::unique_ptr<image_run> m_run; ///< since the device was opened
    std::function<void()> m_closed;   ///< set while it is closing

    // Of the opened image.
    std::optional<seedbed::info_hash> m_info_hash;
    std::string m_engine;
    std::vector<std::string> m_open_warnings; ///< about the content of the device, see wiped_signatures
    file_stamp m_stamp;
    std::shared_ptr<served_torrent const> m_torrent_file;
    storage_class m_detected = storage_class::hdd;

    torrent_progress m_progress;
    std::int64_t m_summarised = 0; ///< bytes moved until the last summary
    clock::time_point m_started{};
    clock::time_point m_phase_began{};
    std::map<image_state, double> m_seconds; ///< in each state, without the current one
    main_calls m_calls;
};

} // namespace seedbed
