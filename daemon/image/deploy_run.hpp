#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>

#include "core/foundation/error.hpp"
#include "daemon/fleet/host_report.hpp"
#include "daemon/fleet/report_peers.hpp"
#include "daemon/image/checkpoint_keeper.hpp"
#include "daemon/image/damage_policy.hpp"
#include "daemon/image/damaged_pieces.hpp"
#include "daemon/image/disk_work.hpp"
#include "daemon/image/image_context.hpp"
#include "daemon/image/image_run.hpp"
#include "daemon/image/main_calls.hpp"
#include "daemon/image/read_back.hpp"
#include "daemon/image/resume_point.hpp"
#include "daemon/image/verification.hpp"
#include "daemon/log/line_limit.hpp"

namespace seedbed {

/// Deploys an image: determines which data is on the device, downloads the rest, flushes it and reads all of it back;
/// only then is the image done. Reports the start and the outcome to the image's trackers and to the peers that accept
/// reports.
class deploy_run final : public image_run {
public:
    /// \param plan of a packed image, otherwise null.
    deploy_run(image_context& image, resume_point resume, std::shared_ptr<packed_plan const> plan);

    void begin() override;
    void on_state() override;
    void on_settings() override {}
    void on_resume_interval() override { m_checkpoints.arm(); }
    void rejoin() override;
    void on_checked() override;
    void on_complete() override;
    void on_content_differs() override;
    void on_pieces(std::vector<bool> const& written) override;
    void on_piece_damaged(int piece) override;
    void on_peer_banned(boost::asio::ip::tcp::endpoint const& peer, int other_sources) override;
    void on_progress() override;
    void on_failed(std::string const& reason) override;
    void cancel() override;
    void finish(std::function<void(result<void, io_error> const&)> then) override;
    [[nodiscard]] image_proof proof() const override { return m_proof; }
    [[nodiscard]] written_content const& content() const override { return m_content; }
    [[nodiscard]] std::map<std::string, int> damage() const override { return m_damage.pieces(); }
    [[nodiscard]] std::int64_t verified_bytes() const override {
        return m_read_back.right_bytes() + m_verification.verified_bytes();
    }

private:
    void retry_after(std::chrono::milliseconds pause, boost::asio::ip::tcp::endpoint const& peer);
    using clock = std::chrono::steady_clock;
    /// How it is known which pieces are on the device.
    enum class basis : std::uint8_t {
        check,      ///< check_pieces() reads the device
        checkpoint, ///< from an earlier start
        nothing     ///< no piece is assumed: everything is downloaded
    };

    [[nodiscard]] bool is_packed() const;
    /// Whether the device becomes a disk with a partition table that is written last.
    [[nodiscard]] bool is_planned_disk() const;
    /// Joins the swarm. If pieces are missing, half an image must not look like a whole one: first the ends of the
    /// image are held back, so that the first write erases the old ends and the new ends are written last; or the old
    /// table of a disk is erased, and the new one is written last.
    void join();
    void join(torrent_spec const& spec);
    void on_wiped(disk_work const& wiped);
    void log_disk_work(disk_work const& work) const;
    [[nodiscard]] torrent_spec make_spec();
    void resume_complete();
    /// Reads back the pieces of an untrusted checkpoint, and joins the swarm after that.
    void read_claims();
    void on_claims_read(image_verifier::outcome const& outcome);
    /// Compares the device with the image, then joins the swarm. libtorrent's own check would start writing to the
    /// device right afterwards, and would have to pack most pieces of a packed image again.
    void check_pieces();
    void on_pieces_checked(image_verifier::outcome const& outcome);
    void report_check();
    void begin_flush();
    void on_flushed(result<void, io_error> const& outcome, clock::time_point written);
    void begin_verify();
    void read_rest();
    void on_verified(image_verifier::outcome const& outcome);
    void on_different(image_verifier::outcome const& outcome);
    /// Probes the written content, then ends the deployment.
    void examine();
    void on_examined(disk_work const& finished, written_content const& content);
    void finish_deployment();
    /// The device differs although the image was complete: leaves the swarm and joins it again with a full check.
    /// libtorrent's own recheck would not reconnect to peers that were complete when this torrent was.
    void check_again(std::string const& why);
    void on_report_peer(boost::asio::ip::tcp::endpoint const& peer);
    void send_report(host_report::outcome_kind outcome, std::string const& reason);
    /// Of the torrent's pieces, and of the device when it is complete. The same unless the image is packed.
    [[nodiscard]] std::int64_t total_bytes() const;
    [[nodiscard]] std::int64_t stored_bytes() const;

    image_context& m_context;
    resume_point m_resume;
    std::shared_ptr<packed_plan const> const m_plan;
    std::vector<bool> m_present; ///< pieces that check_pieces() has found
    basis m_basis = basis::check;
    image_proof m_proof = image_proof::none;
    written_content m_content;
    unsigned m_examination = 0; ///< number of the last one; another check makes it obsolete
    bool m_withdrawal_logged = false;
    bool m_numbers_awaited = false; ///< the check has ended; the next progress has its result
    clock::time_point m_transfer_began{};
    report_peers m_report_peers;
    std::optional<host_report::outcome_kind> m_last_report;
    checkpoint_keeper m_checkpoints;
    read_back m_read_back;
    verification m_verification;
    damaged_pieces m_damaged_pieces;
    damage_policy m_damage;
    line_limit m_ban_lines{8, std::chrono::minutes(1)};
    /// Until the ban of a peer is lifted, by its address.
    std::map<boost::asio::ip::address, boost::asio::steady_timer> m_retry_timers;
    main_calls m_calls;
};

} // namespace seedbed
