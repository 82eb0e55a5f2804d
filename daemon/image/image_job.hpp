#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>

#include "config/settings.hpp"
#include "core/backend/backend.hpp"
#include "core/backend/image_verifier.hpp"
#include "core/device/device_identity.hpp"
#include "core/device/file_block_device.hpp"
#include "core/foundation/worker_pool.hpp"
#include "daemon/fleet/report_sink.hpp"
#include "daemon/image/image_state.hpp"
#include "daemon/image/image_status.hpp"
#include "daemon/image/resume_store.hpp"
#include "daemon/log/logging.hpp"
#include "daemon/swarm/image_swarm.hpp"

namespace seedbed {

/// Which file a path named when it was read; another value means that it may have changed.
struct file_stamp {
    std::uint64_t device = 0;
    std::uint64_t inode = 0;
    std::int64_t size = -1;    ///< bytes; -1 where there is no such file
    std::int64_t modified = 0; ///< nanoseconds
    friend bool operator==(file_stamp const&, file_stamp const&) = default;
};
[[nodiscard]] file_stamp stamp_of(std::string const& path);

/// What an image's device must be.
[[nodiscard]] device_requirements requirements_of(image_settings const& settings, image_torrent const& torrent);

/// What all images share. The references outlive every image_job.
struct image_services {
    boost::asio::io_context& main;
    worker_pool& setup; ///< for what takes longer than a millisecond: loading torrents, opening and closing devices
    std::shared_ptr<backend> shared;
    image_swarm& swarm;
    std::function<seedbed::settings const&()> settings; ///< those in force
    std::function<void()> on_change;                    ///< called after every change of state
    resume_store& checkpoints;
    report_sink* reports = nullptr;                  ///< who tells trackers how a deployment has ended
    std::function<std::uint16_t()> report_port = {}; ///< on which this daemon takes reports; 0 for none
    /// An image that was verified, and to whose device nothing was written since, is not read again.
    bool trust_proof = true;
    /// Opens an image's device, on a worker.
    std::function<result<std::unique_ptr<block_device>, device_refusal>(std::string const& path,
                                                                        device_requirements const& requirements)>
        open_device = open_block_device;
    /// How often the source of a seed is checked for changes.
    std::chrono::milliseconds source_interval{5'000};
};

/// What an image can go on from when it is opened.
struct resume_point {
    std::optional<checkpoint> found;               ///< fits
    std::string unused;                            ///< why one that was there is not used; empty where there was none
    device_change change = device_change::unknown; ///< whether the device was written to since
};
/// Looks for a checkpoint of this device. Blocks.
[[nodiscard]] resume_point find_resume_point(resume_store const& store, image_torrent const& torrent,
                                             std::string const& device);

/// One image's life, from opening its device to closing it: it logs each change of state, and calls a deployed image
/// done when it is downloaded, written, durable and verified, and not before.
///
/// Threads: confined to the main thread; what blocks runs on the services' workers and comes back by a post.
class image_job final : public torrent_listener, public std::enable_shared_from_this<image_job> {
public:
    image_job(image_settings wanted, image_services services);
    image_job(image_job const&) = delete;
    image_job& operator=(image_job const&) = delete;
    ~image_job();

    /// Opens the device and joins the swarm. To be called once.
    void start();
    /// Leaves the swarm, flushes what was written, closes the device. \p closed is called when all that has happened;
    /// at once where nothing is open.
    void close(std::function<void()> closed);

    /// Takes over settings that can change while the image is in use: peers, trackers and profile.
    void update(image_settings const& wanted);
    /// Applies the present numbers of its profile.
    void apply_profile();
    /// Applies the present interval between checkpoints.
    void apply_resume();

    [[nodiscard]] image_settings const& settings() const noexcept { return m_settings; }
    [[nodiscard]] image_state state() const noexcept { return m_state; }
    /// 40 hex digits; empty until the torrent has been loaded.
    [[nodiscard]] std::string const& info_hash() const noexcept { return m_info_hash; }
    /// Under which its clients announce themselves; empty while the device is not open.
    [[nodiscard]] std::vector<std::string> announced_hashes() const;
    /// The .torrent file as it was when it was loaded.
    [[nodiscard]] file_stamp const& torrent_stamp() const noexcept { return m_stamp; }
    void set_torrent_stamp(file_stamp const& stamp) { m_stamp = stamp; }

    /// True while bytes move or are about to: there is something to tell every second.
    [[nodiscard]] bool is_moving() const;
    /// For example "sda1: downloading 43%, 512.0 MiB/s, 3 peers".
    [[nodiscard]] std::string status_line() const;
    /// The same and all else, for displays.
    [[nodiscard]] image_status status() const;
    /// Calls \p call on the main thread with the peers as they are now; with none where it is not in the swarm, and not
    /// at all where it is gone by then.
    void request_peers(std::function<void(std::vector<peer_status> const&)> call) {
        request_peers(m_services.setup, std::move(call));
    }
    /// The same on another worker, which waits for libtorrent.
    void request_peers(worker_pool& worker, std::function<void(std::vector<peer_status> const&)> call);
    /// Logs how far it is where anything has moved since the last call.
    void log_summary();

    /// The device's queue, for the watchdog; nothing while none is open.
    [[nodiscard]] std::optional<worker_pool::progress> queue_progress() const;

    void on_checked() override;
    void on_complete() override;
    void on_content_differs() override;
    void on_pieces(std::vector<bool> const& there) override;
    void on_piece_damaged(int piece) override;
    void on_torrent_error(std::string const& reason) override;
    void on_progress(torrent_progress const& progress) override;
    void on_removed() override;

private:
    struct opened_image;
    /// Why an image has failed.
    struct failure {
        failure_kind kind = failure_kind::none;
        std::string reason; ///< one line
        std::optional<device_guard> guard = {};
    };
    using clock = std::chrono::steady_clock;

    void on_opened(result<opened_image, failure> const& outcome);
    void join_swarm();
    void join_as_seed();
    void join_as_target();
    [[nodiscard]] torrent_spec make_entry();
    void begin_flush();
    void on_flushed(result<void, io_error> const& outcome, clock::time_point written);
    void begin_verify();
    void on_verified(image_verifier::outcome const& outcome);
    void finish_deploy();
    /// Something is not on the device that was taken for being there: it is read, and what differs is fetched. To be
    /// called while it is in the swarm, which it leaves for a moment: libtorrent's own recheck does not connect again
    /// to peers that were complete when it was complete itself.
    void check_again(std::string const& why);

    // Checkpoints, see image_job_resume.cpp.
    [[nodiscard]] bool keeps_checkpoints() const;
    void arm_checkpoint_timer();
    /// Flushes, then saves; \p then is called on the main thread, with the flush's outcome.
    void save_checkpoint(std::vector<bool> pieces, bool verified, bool at_rest,
                         std::function<void(image_job&, result<void, io_error> const&)> then);
    void remove_checkpoint();
    /// All pieces are there by the checkpoint.
    void resume_complete();
    [[nodiscard]] std::int64_t bytes_of(std::vector<bool> const& pieces) const;
    [[nodiscard]] std::vector<bool> all_pieces() const;

    // The source of a seed, see image_job_source.cpp.
    void check_source();
    void on_source_checked(image_verifier::outcome const& outcome);
    void arm_source_timer();
    void on_source_looked_at(result<device_identity> const& now);
    void steer_super_seeding();

    [[nodiscard]] double phase_fraction() const;
    void fail(failure const& why);
    void fail(failure_kind kind, std::string const& reason) { fail(failure{kind, reason}); }
    void fail(io_error const& error);
    /// Tells the image's trackers how the deployment has ended. \param reason of a failure.
    void send_report(host_report::outcome_kind outcome, std::string const& reason);
    void leave_swarm();
    /// Not in the swarm any more: what was written is flushed, then the image is released.
    void wind_up();
    void release_image();
    void on_device_closed();
    void report_check();
    void set_state(image_state state);
    [[nodiscard]] double phase_seconds() const;
    [[nodiscard]] log_fields fields() const;
    [[nodiscard]] io_profile const& present_profile() const {
        return m_services.settings().profile(m_settings.profile.value_or(m_detected));
    }

    /// A function that may be called on any thread and runs \p call(*this, arguments...) on the main thread, unless
    /// this is gone by then.
    template <class Call>
    [[nodiscard]] auto on_main(Call call);

    image_settings m_settings;
    image_services const m_services;
    image_state m_state = image_state::opening;
    failure m_failure;
    std::string m_engine; ///< how its transfers are run
    bool m_durable = false;
    bool m_verified = false;

    std::string m_info_hash;
    file_stamp m_stamp;
    storage_class m_detected = storage_class::hdd;
    std::shared_ptr<served_image> m_image;
    std::int64_t m_device_read = 0; ///< bytes, when the image was released
    std::int64_t m_device_written = 0;
    std::int64_t m_fetched = 0;
    std::optional<image_swarm::id> m_in_swarm;
    bool m_known = false;       ///< the backend knows the image
    bool m_opening = false;     ///< a worker is opening the device
    bool m_device_open = false; ///< until the last owner of the image has closed it
    std::shared_ptr<image_verifier> m_verifier;
    device_identity m_identity; ///< of the device when it was opened

    resume_point m_resume;
    bool m_checked_again = false;
    bool m_rejoining = false;   ///< leaves the swarm to join it again
    std::vector<bool> m_pieces; ///< written to the device, as was told last
    bool m_saving_checkpoint = false;
    bool m_done_recorded = false; ///< there is nothing that a later checkpoint could tell
    boost::asio::steady_timer m_checkpoint_timer;

    boost::asio::steady_timer m_source_timer;
    bool m_source_written = false;  ///< reported
    bool m_super_seeding = false;   ///< asked of the swarm now
    std::int64_t m_super_began = 0; ///< bytes that had been sent when it was
    std::function<void()> m_closed;

    std::set<std::string> m_report_urls; ///< of peers that take reports, as if they were announce URLs

    torrent_progress m_progress;
    bool m_check_to_report = false;
    std::int64_t m_summarised = 0; ///< bytes moved until the last summary
    clock::time_point m_started{};
    clock::time_point m_transfer_began{};
    clock::time_point m_phase_began{};
};

template <class Call>
auto image_job::on_main(Call call) {
    return [weak = weak_from_this(), &main = m_services.main, call = std::move(call)](auto... arguments) {
        boost::asio::post(main, [weak, call, ... arguments = std::move(arguments)] {
            if (auto const self = weak.lock()) {
                call(*self, arguments...);
            }
        });
    };
}

} // namespace seedbed
