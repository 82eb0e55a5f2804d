#include "daemon/swarm/sharded_torrent.hpp"

#include <algorithm>
#include <optional>
#include <utility>

namespace seedbed {

torrent_progress merge_progress(std::vector<torrent_progress> const& parts) {
    auto sum = parts.front();
    for (std::size_t i = 1; i < parts.size(); ++i) {
        auto const& each = parts[i];
        sum.current = std::min(sum.current, each.current);
        sum.fraction = std::min(sum.fraction, each.fraction);
        sum.bytes_left = std::max(sum.bytes_left, each.bytes_left);
        sum.downloaded += each.downloaded;
        sum.uploaded += each.uploaded;
        sum.download_rate += each.download_rate;
        sum.upload_rate += each.upload_rate;
        sum.peers += each.peers;
    }
    return sum;
}

/// Forwards the events of one session.
class sharded_torrent::session_part final : public torrent_listener {
public:
    explicit session_part(sharded_torrent& all)
        : m_all(all) {}

    [[nodiscard]] bool present() const noexcept { return m_present; }
    [[nodiscard]] std::optional<torrent_progress> const& progress() const noexcept { return m_progress; }

    void on_checked() override { once(m_all.m_checked, &torrent_listener::on_checked); }
    void on_complete() override { once(m_all.m_complete, &torrent_listener::on_complete); }
    void on_content_differs() override { once(m_all.m_differs, &torrent_listener::on_content_differs); }
    void on_pieces(std::vector<bool> const& written) override { m_all.listener().on_pieces(written); }
    void on_piece_damaged(int piece) override { m_all.listener().on_piece_damaged(piece); }
    void on_peer_banned(boost::asio::ip::tcp::endpoint const& peer, int other_sources) override {
        m_all.listener().on_peer_banned(peer, other_sources); // a deployment is in one session only
    }
    void on_torrent_error(std::string const& reason) override { m_all.listener().on_torrent_error(reason); }
    void on_progress(torrent_progress const& progress) override {
        m_progress = progress;
        m_all.report_progress();
    }
    void on_removed() override {
        m_present = false;
        auto const keep = m_all.shared_from_this(); // the owner may release it
        keep->m_on_part_removed();
    }

private:
    void once(bool& reported, void (torrent_listener::*report)()) {
        if (!std::exchange(reported, true)) {
            (m_all.listener().*report)();
        }
    }

    sharded_torrent& m_all;
    bool m_present = true; ///< in the session
    std::optional<torrent_progress> m_progress;
};

sharded_torrent::sharded_torrent(std::string name, torrent_listener& listener, int sessions,
                                 std::function<void()> on_part_removed)
    : m_name(std::move(name))
    , m_listener(&listener)
    , m_on_part_removed(std::move(on_part_removed)) {
    for (int i = 0; i < sessions; ++i) {
        m_parts.push_back(std::make_unique<session_part>(*this));
    }
}

sharded_torrent::~sharded_torrent() = default;

torrent_listener& sharded_torrent::part(std::size_t session) const {
    return *m_parts.at(session);
}

bool sharded_torrent::is_in(std::size_t session) const noexcept {
    return session < m_parts.size() && m_parts[session]->present();
}

bool sharded_torrent::is_in_any() const noexcept {
    return std::ranges::any_of(m_parts, [](auto const& part) { return part->present(); });
}

std::vector<int> sharded_torrent::peers() const {
    std::vector<int> counts;
    for (auto const& part : m_parts) {
        counts.push_back(part->progress() ? part->progress()->peers : 0);
    }
    return counts;
}

void sharded_torrent::report_progress() const {
    std::vector<torrent_progress> known;
    for (auto const& part : m_parts) {
        if (part->progress()) {
            known.push_back(*part->progress());
        }
    }
    m_listener->on_progress(merge_progress(known));
}

} // namespace seedbed
