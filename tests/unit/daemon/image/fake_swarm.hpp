#pragma once

#include <cstdint>
#include <functional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>

#include "core/backend/backend.hpp"
#include "core/foundation/info_hash.hpp"
#include "daemon/fleet/report_sink.hpp"
#include "daemon/swarm/image_swarm.hpp"

namespace seedbed::test {

/// A swarm of one torrent without a network: it records each call; a test fires the listener's events by hand.
///
/// Threads: confined to the one that runs the io_context.
class fake_swarm final : public image_swarm {
public:
    explicit fake_swarm(boost::asio::io_context& context)
        : m_main(context) {}

    id add(torrent_spec const& wanted, torrent_listener& listener) override {
        if (m_listener != nullptr) {
            throw std::logic_error("added twice");
        }
        m_listener = &listener;
        spec = wanted;
        key = backend::key_of(*wanted.torrent);
        return calls_for("add", ++m_last);
    }
    void remove(id torrent) override {
        calls_for("remove", torrent);
        if (removes_by_itself) {
            boost::asio::post(m_main, [this] { finish_removal(); });
        }
    }
    void update(id torrent, std::vector<ip_endpoint> const& peers, std::vector<std::string> const& trackers) override {
        calls_for("update", torrent);
        spec.peers = peers;
        spec.trackers = trackers;
    }
    void set_expected(id torrent, std::vector<ip_address> const& hosts) override {
        calls_for("expect", torrent);
        spec.expected = hosts;
    }
    void set_upload_limit(id torrent, std::int64_t bytes_a_second) override {
        calls_for("limit", torrent);
        spec.upload_limit = bytes_a_second;
    }
    void set_super_seeding(id torrent, bool on) override {
        calls_for(on ? "super on" : "super off", torrent);
        spec.super_seeding = on;
    }
    void lift_ban(id torrent, boost::asio::ip::tcp::endpoint const& peer) override {
        calls_for("lift ban", torrent);
        retried = peer;
    }
    void request_pieces(id torrent) override {
        calls_for("pieces", torrent);
        boost::asio::post(m_main, [this] {
            if (m_listener != nullptr) {
                m_listener->on_pieces(pieces);
            }
        });
    }
    void request_progress() override {
        boost::asio::post(m_main, [this] {
            if (m_listener != nullptr) {
                m_listener->on_progress(progress);
            }
        });
    }
    void request_peers(id torrent, worker_pool& worker,
                       std::function<void(std::vector<peer_status>)> call) const override {
        check(torrent);
        worker.submit([call = std::move(call), list = connected] { call(list); });
    }

    /// The listener of the torrent; throws if none exists.
    [[nodiscard]] torrent_listener& listener() const {
        if (m_listener == nullptr) {
            throw std::logic_error("no torrent in the swarm");
        }
        return *m_listener;
    }
    [[nodiscard]] bool has_torrent() const noexcept { return m_listener != nullptr; }
    /// Does what the session does some time after remove(), or when it drops the torrent by itself.
    void finish_removal() {
        auto& gone = listener();
        if (spec.mode == image_mode::deploy) {
            gone.on_pieces(pieces);
        }
        m_listener = nullptr;
        spec.torrent.reset(); // shares the image, whose device would stay open
        gone.on_removed();
    }
    /// Reports these numbers to the listener.
    void tell(torrent_progress const& numbers) {
        progress = numbers;
        listener().on_progress(numbers);
    }
    /// How often \p call was made.
    [[nodiscard]] int count(std::string const& call) const {
        int sum = 0;
        for (auto const& each : calls) {
            sum += each == call ? 1 : 0;
        }
        return sum;
    }

    std::vector<std::string> calls;         ///< without request_progress() and request_peers()
    torrent_spec spec;                      ///< as added, and changed since; without the torrent once it is removed
    info_hash key;                          ///< of the image in the backend
    torrent_progress progress;              ///< the answer to request_progress()
    boost::asio::ip::tcp::endpoint retried; ///< of the last lift_ban()
    std::vector<bool> pieces;               ///< the answer to request_pieces()
    std::vector<peer_status> connected;     ///< the answer to request_peers()
    bool removes_by_itself = true;          ///< otherwise a test calls finish_removal()

private:
    void check(id torrent) const {
        if (torrent != m_last || m_listener == nullptr) {
            throw std::logic_error("no such torrent in the swarm");
        }
    }
    id calls_for(std::string call, id torrent) {
        check(torrent);
        calls.push_back(std::move(call));
        return torrent;
    }

    boost::asio::io_context& m_main;
    torrent_listener* m_listener = nullptr;
    id m_last = 0;
};

/// Records the reports.
class fake_reports final : public report_sink {
public:
    struct sent_report {
        std::string image;
        seedbed::info_hash info_hash;
        std::vector<std::string> urls;
        std::vector<boost::asio::ip::tcp::endpoint> peers;
        host_report report;
    };

    void send(std::string const& image, info_hash const& hash, std::vector<std::string> const& announce_urls,
              std::vector<boost::asio::ip::tcp::endpoint> const& peers, host_report const& report) override {
        auto const starts = report.outcome == host_report::outcome_kind::started;
        (starts ? started : sent).push_back({image, hash, announce_urls, peers, report});
    }
    void add_peer(std::string const& image, boost::asio::ip::tcp::endpoint const& peer) override {
        added.emplace_back(image, peer);
    }
    void forget(std::string const& image) override { forgotten.push_back(image); }

    std::vector<std::pair<std::string, boost::asio::ip::tcp::endpoint>> added;
    std::vector<sent_report> sent;    ///< outcomes
    std::vector<sent_report> started; ///< starts of deployments
    std::vector<std::string> forgotten;
};

} // namespace seedbed::test
