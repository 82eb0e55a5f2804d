#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "config/settings.hpp"
#include "core/device/device_overview.hpp"
#include "core/device/storage_class.hpp"
#include "core/foundation/error.hpp"
#include "core/image/image_torrent.hpp"
#include "daemon/agent/server_link.hpp"
#include "daemon/image/image_status.hpp"
#include "daemon/image/packed_plan.hpp"
#include "daemon/machine/machine_messages.hpp"
#include "daemon/service/deployment.hpp"
#include "daemon/service/receipt.hpp"

namespace seedbed {

/// What the jobs of an agent have in common.
struct agent_settings {
    settings in_force; ///< network, memory, profiles; its images are ignored
    std::string state_folder;
    seed_limits seeding;
};

/// Does one job up to the verified image on the disk: loads the image's .torrent from the server, chooses the disk,
/// checks all guards, deploys.
///
/// Threads: confined to one; run() blocks, and handles termination signals meanwhile.
class job_run {
public:
    struct events {
        std::function<void(std::string const&)> print; ///< a line for the console
        std::function<void(device_overview const&, storage_class, image_torrent const&)> on_device; ///< will be written
        std::function<void(image_status const&)> show; ///< as of deployment; must not block
    };

    job_run(agent_settings const& settings, server_link const& server, events told);

    /// \return the end of the job, to be reported; nothing if a signal interrupted it: it can then continue.
    [[nodiscard]] std::optional<job_report> run(offered_job const& job);

private:
    /// The steps before the first write. The error is the report of the end.
    [[nodiscard]] result<void, job_report> prepare();
    [[nodiscard]] result<std::string, job_report> load_torrent();
    /// \param code for the receipt, which gets the reason as its error.
    [[nodiscard]] job_report end(job_state state, exit_code code, std::string reason);
    /// The same after a deployment.
    [[nodiscard]] job_report end(job_state state, std::string reason, deployment_report const& report);

    agent_settings const& m_settings;
    server_link const& m_server;
    events const m_told;

    offered_job m_job;
    std::filesystem::path m_file; ///< the .torrent
    image_settings m_image;
    std::optional<storage_class> m_class; ///< of the disk
    target_facts m_facts;                 ///< of the disk
    std::optional<image_torrent> m_torrent;
    std::shared_ptr<packed_plan const> m_plan; ///< of a packed image
    receipt m_receipt;
};

} // namespace seedbed
