#include "daemon/swarm/neighbour_extension.hpp"

#include <algorithm>
#include <utility>

#include <libtorrent/bitfield.hpp>
#include <libtorrent/error_code.hpp>
#include <libtorrent/extensions.hpp>
#include <libtorrent/peer_connection_handle.hpp>
#include <libtorrent/span.hpp>
#include <libtorrent/torrent_status.hpp>

namespace seedbed {

namespace lt = libtorrent;

namespace {

struct neighbour_counts {
    int peers = 0;
    int sources = 0; ///< of them, those that had every piece when they connected
};

class counted_peer final : public lt::peer_plugin {
public:
    explicit counted_peer(std::shared_ptr<neighbour_counts> counts)
        : m_counts(std::move(counts)) {}
    counted_peer(counted_peer const&) = delete;
    counted_peer& operator=(counted_peer const&) = delete;
    ~counted_peer() override { leave(); }

    [[nodiscard]] lt::string_view type() const override { return "sb_neighbour"; }

    bool on_handshake(lt::span<char const>) override {
        m_counts->peers += std::exchange(m_counted, true) ? 0 : 1;
        return true;
    }
    bool on_bitfield(lt::bitfield const& pieces) override { return pieces.all_set() ? on_have_all() : false; }
    bool on_have_all() override {
        if (m_counted) {
            m_counts->sources += std::exchange(m_source, true) ? 0 : 1;
        }
        return false;
    }
    void on_disconnect(lt::error_code const&) override { leave(); }

private:
    void leave() {
        m_counts->peers -= std::exchange(m_counted, false) ? 1 : 0;
        m_counts->sources -= std::exchange(m_source, false) ? 1 : 0;
    }

    std::shared_ptr<neighbour_counts> m_counts;
    bool m_counted = false;
    bool m_source = false;
};

class counting_torrent final : public lt::torrent_plugin {
public:
    counting_torrent(int enough, std::function<void(int)> on_change)
        : m_enough(enough)
        , m_on_change(std::move(on_change))
        , m_missing(enough) {}

    std::shared_ptr<lt::peer_plugin> new_connection(lt::peer_connection_handle const&) override {
        return std::make_shared<counted_peer>(m_counts);
    }
    void on_state(lt::torrent_status::state_t state) override {
        m_complete = state == lt::torrent_status::finished || state == lt::torrent_status::seeding;
    }
    void tick() override {
        auto const source = m_complete || m_counts->sources > 0 ? 0 : 1;
        auto const missing = std::max(m_enough - m_counts->peers, source);
        if (std::exchange(m_missing, missing) != missing) {
            m_on_change(missing);
        }
    }

private:
    int const m_enough;
    std::function<void(int)> m_on_change;
    std::shared_ptr<neighbour_counts> m_counts = std::make_shared<neighbour_counts>();
    bool m_complete = false;
    int m_missing;
};

} // namespace

std::shared_ptr<lt::torrent_plugin> make_neighbour_extension(int enough, std::function<void(int)> on_change) {
    return std::make_shared<counting_torrent>(enough, std::move(on_change));
}

} // namespace seedbed
