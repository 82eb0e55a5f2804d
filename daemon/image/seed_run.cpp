#include "daemon/image/seed_run.hpp"

#include <utility>

#include <spdlog/fmt/fmt.h>

#include "core/foundation/byte_size.hpp"
#include "daemon/text/quantity_text.hpp"

namespace seedbed {

seed_run::seed_run(image_context& image, device_identity const& opened)
    : m_context(image)
    , m_watch(image, opened)
    , m_verification(image) {}

void seed_run::begin() {
    if (m_context.settings().verify_source != source_check::full) {
        join();
        return;
    }
    log_info(m_context.fields(), "verifying: reading the whole source before seeding");
    m_context.enter(image_state::verifying);
    m_verification.start([this](image_verifier::outcome const& outcome) { on_verified(outcome); });
}

void seed_run::join() {
    auto spec = m_context.make_spec();
    if (m_context.settings().verify_source == source_check::lazy) {
        spec.hash_before_serving = true;
        m_context.image()->verify_before_reads();
    } else {
        spec.pieces = std::vector<bool>(static_cast<std::size_t>(spec.torrent->piece_count), true);
    }
    m_super_seeding = m_context.settings().super_seeding;
    spec.super_seeding = m_super_seeding;
    m_context.join(spec);
    log_info(m_context.fields(), "seeding");
    m_context.enter(image_state::seeding);
}

void seed_run::on_content_differs() {
    m_context.fail(source_differs(m_context.settings().device));
}

void seed_run::on_verified(image_verifier::outcome const& outcome) {
    if (outcome.read_failed) {
        m_context.fail(to_failure(*outcome.read_failed));
        return;
    }
    auto const& torrent = m_context.image()->torrent();
    if (!outcome.ok()) {
        auto const& first = outcome.differing.front();
        m_context.fail(
            {failure_kind::content,
             fmt::format(
                 "{}: does not match the torrent: {} of {} pieces differ, the first one at offset {}, length {}",
                 m_context.settings().device, outcome.pieces.size(), torrent.piece_count, first.device_offset,
                 first.length)});
        return;
    }
    auto const total = torrent.extents.total_size();
    auto const seconds = m_context.phase_seconds();
    log_info(m_context.fields(), fmt::format("verified {} in {} ({})", format_byte_size(total),
                                             format_duration(seconds), format_rate(total, seconds)));
    join();
}

void seed_run::steer_super_seeding() {
    if (!m_context.membership().inside()) {
        return;
    }
    auto const& progress = m_context.progress();
    if (progress.peers == 0) {
        m_super_began = progress.uploaded; // the next peers start without any pieces
    }
    auto const uploaded = progress.uploaded - m_super_began;
    auto const wanted =
        m_context.settings().super_seeding && uploaded < m_context.image()->torrent().extents.total_size();
    if (std::exchange(m_super_seeding, wanted) != wanted) {
        m_context.membership().set_super_seeding(wanted);
    }
}

} // namespace seedbed
