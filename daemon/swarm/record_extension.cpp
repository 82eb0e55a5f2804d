#include "daemon/swarm/record_extension.hpp"

#include <utility>

#include <libtorrent/error_code.hpp>
#include <libtorrent/extensions.hpp>
#include <libtorrent/peer_connection_handle.hpp>
#include <libtorrent/peer_info.hpp>
#include <libtorrent/span.hpp>

#include "daemon/swarm/libtorrent_types.hpp"

namespace seedbed {

namespace lt = libtorrent;

namespace {

class recorded_peer final : public lt::peer_plugin {
public:
    recorded_peer(std::shared_ptr<peer_record> record, lt::peer_connection_handle peer)
        : m_record(std::move(record))
        , m_peer(std::move(peer)) {}

    [[nodiscard]] lt::string_view type() const override { return "sb_record"; }

    bool on_handshake(lt::span<char const>) override {
        m_known = true;
        return true;
    }
    void on_disconnect(lt::error_code const&) override {
        if (std::exchange(m_known, false)) {
            lt::peer_info info;
            m_peer.get_peer_info(info);
            if (info.total_download > 0 || info.total_upload > 0) {
                m_record->add(to_peer_status(info));
            }
        }
    }

private:
    std::shared_ptr<peer_record> m_record;
    lt::peer_connection_handle m_peer;
    bool m_known = false; ///< its id has arrived
};

class recording_torrent final : public lt::torrent_plugin {
public:
    explicit recording_torrent(std::shared_ptr<peer_record> record)
        : m_record(std::move(record)) {}

    std::shared_ptr<lt::peer_plugin> new_connection(lt::peer_connection_handle const& peer) override {
        return std::make_shared<recorded_peer>(m_record, peer);
    }

private:
    std::shared_ptr<peer_record> m_record;
};

} // namespace

std::shared_ptr<lt::torrent_plugin> make_record_extension(std::shared_ptr<peer_record> record) {
    return std::make_shared<recording_torrent>(std::move(record));
}

} // namespace seedbed
