#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "core/device/device_identity.hpp"
#include "daemon/image/image_context.hpp"
#include "daemon/image/image_run.hpp"
#include "daemon/image/source_watch.hpp"
#include "daemon/image/verification.hpp"

namespace seedbed {

/// Seeds an image: verifies its source first if configured, watches it, and turns super-seeding off when the swarm has
/// received one copy.
class seed_run final : public image_run {
public:
    seed_run(image_context& image, device_identity const& opened);

    void begin() override;
    void on_state() override { m_watch.arm(); }
    void on_settings() override { steer_super_seeding(); }
    void on_resume_interval() override {}
    void rejoin() override {}
    void on_checked() override {}
    void on_complete() override {}
    void on_content_differs() override;
    void on_pieces(std::vector<bool> const& /*written*/) override {}
    void on_piece_damaged(int /*piece*/) override {}
    void on_peer_banned(boost::asio::ip::tcp::endpoint const& /*peer*/, int /*other_sources*/) override {}
    void on_progress() override { steer_super_seeding(); }
    void on_failed(std::string const& /*reason*/) override {}
    void cancel() override { m_verification.cancel(); }
    void finish(std::function<void(result<void, io_error> const&)> then) override { then({}); }
    [[nodiscard]] image_proof proof() const override { return image_proof::none; }
    [[nodiscard]] written_content const& content() const override { return m_content; }
    [[nodiscard]] std::map<std::string, int> damage() const override { return {}; }
    [[nodiscard]] std::int64_t verified_bytes() const override { return m_verification.verified_bytes(); }

private:
    void join();
    void on_verified(image_verifier::outcome const& outcome);
    void steer_super_seeding();

    image_context& m_context;
    source_watch m_watch;
    verification m_verification;
    written_content const m_content; ///< nothing is written
    bool m_super_seeding = false;    ///< currently enabled in the swarm
    std::int64_t m_super_began = 0;  ///< bytes uploaded before a new swarm began
};

} // namespace seedbed
