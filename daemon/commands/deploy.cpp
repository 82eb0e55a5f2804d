#include "daemon/commands/deploy.hpp"

#include <exception>
#include <iostream>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "config/load.hpp"
#include "core/device/device_identity.hpp"
#include "core/device/disk_content.hpp"
#include "core/device/file_block_device.hpp"
#include "core/device/storage_class.hpp"
#include "core/foundation/printable.hpp"
#include "core/foundation/wall_clock.hpp"
#include "core/image/image_torrent.hpp"
#include "core/image/old_signatures.hpp"
#include "core/image/torrent_file.hpp"
#include "daemon/commands/command_start.hpp"
#include "daemon/commands/confirm_overwrite.hpp"
#include "daemon/commands/deploy_options.hpp"
#include "daemon/commands/output_file.hpp"
#include "daemon/commands/packed_report.hpp"
#include "daemon/commands/written_receipt.hpp"
#include "daemon/image/packed_plan.hpp"
#include "daemon/image/written_content.hpp"
#include "daemon/service/deployment.hpp"
#include "daemon/service/disk_choice.hpp"
#include "daemon/service/exit_code.hpp"
#include "daemon/service/node.hpp"
#include "daemon/service/outcome_report.hpp"
#include "daemon/service/receipt.hpp"
#include "daemon/service/torrent_source.hpp"
#include "daemon/terminal/console.hpp"
#include "daemon/terminal/overview_text.hpp"
#include "daemon/text/display_text.hpp"

namespace seedbed {

namespace {

/// One deployment, from reading the torrent to the receipt.
class deploy_run {
public:
    deploy_run(deploy_options options, settings in_force)
        : m_options(std::move(options))
        , m_settings(std::move(in_force)) {
        m_receipt.started = wall_clock_now();
        m_receipt.torrent = m_options.source.name();
        m_receipt.device = m_options.image.device;
    }

    int run() {
        try {
            m_receipt.result.code = run_steps();
        } catch (std::exception const& e) {
            m_receipt.result.code = refuse(exit_failed, std::string("internal failure: ") + e.what());
        }
        m_console.clear();
        return write_receipt("deploy", m_options.receipt, m_receipt, m_console);
    }

private:
    exit_code refuse(exit_code code, std::string const& reason) {
        m_console.print_error("seedbed deploy: " + printable(reason));
        return code;
    }

    /// The same, and reports the reason to the server.
    exit_code refuse_target(exit_code code, std::string const& reason) {
        refuse(code, reason);
        auto refused = m_receipt;
        refused.result.code = code;
        report(std::move(refused), host_report::outcome_kind::refused, reason);
        return code;
    }

    void report(receipt ended, host_report::outcome_kind outcome, std::string const& reason) const {
        complete_receipt(ended, m_console);
        report_outcome(m_options.image, *m_torrent, m_settings.network, outcome, reason, short_receipt(ended));
    }

    exit_code run_steps() {
        for (auto const step :
             {&deploy_run::load, &deploy_run::choose, &deploy_run::look, &deploy_run::plan, &deploy_run::ask}) {
            if (auto const code = (this->*step)(); code != exit_ok) {
                return code;
            }
        }
        m_console.start_log(m_settings.log.level);
        deployment_options options{m_options.image, m_settings, m_options.seeding, m_options.timeout,
                                   state_folder_of(m_options, m_settings)};
        options.plan = m_plan;
        options.describe = [this](deployment_report const& report) { return receipt_for_server(report); };
        deployment running(std::move(options), [this](image_status const& status) { m_console.show(status); });
        take_outcome(m_receipt, running.run(), layout());
        m_console.clear();
        if (m_receipt.result.code == exit_interrupted || m_receipt.result.code == exit_timed_out) {
            m_console.print("written data is on the device; run the same command again to resume");
        }
        if (m_receipt.result.code == exit_timed_out) {
            report(m_receipt, host_report::outcome_kind::failed, "the download did not finish in time");
        }
        return m_receipt.result.code;
    }

    [[nodiscard]] disk_layout const* layout() const { return m_plan ? m_plan->layout() : nullptr; }

    /// While the deployment still runs.
    [[nodiscard]] std::string receipt_for_server(deployment_report const& report) const {
        auto made = m_receipt;
        take_outcome(made, report, layout());
        complete_receipt(made, m_console);
        return short_receipt(made);
    }

    /// Reads the torrent, from wherever it comes.
    [[nodiscard]] result<image_torrent> read() {
        torrent_limits limits;
        limits.file_size = m_settings.memory.max_torrent;
        auto const& source = m_options.source;
        if (source.from == torrent_source::kind::file) {
            return load_any_torrent(source.path, limits);
        }
        auto const bytes = read_torrent(source, limits.file_size);
        if (!bytes) {
            return tl::unexpected(bytes.error());
        }
        auto file = memory_file::make(*bytes);
        if (!file) {
            return tl::unexpected(file.error());
        }
        m_options.image.torrent = m_torrent_file.emplace(std::move(*file)).path();
        return parse_any_torrent(*bytes, source.name(), limits);
    }

    exit_code load() {
        auto& image = m_options.image;
        auto loaded = read();
        if (!loaded) {
            return refuse(exit_bad_torrent, loaded.error().message);
        }
        auto const& torrent = m_torrent.emplace(std::move(*loaded));
        image.name = printable(torrent.name);
        take_torrent(m_receipt, torrent);
        return exit_ok;
    }

    /// Chooses the device if the command line gives a rule.
    exit_code choose() {
        if (m_options.rule) {
            auto const chosen = choose_target(*m_options.rule, m_options.image, *m_torrent, m_options.grow);
            if (!chosen) {
                return refuse_target(exit_refused, chosen.error().message);
            }
            m_options.image.device = *chosen;
            m_receipt.device = *chosen;
        }
        return exit_ok;
    }

    /// Shows the device and checks its guards.
    exit_code look() {
        auto const& image = m_options.image;
        auto const& torrent = *m_torrent;
        auto& known = m_receipt.result.image;
        if (auto const shown = identify_device(image.device)) {
            m_shown = *shown;
        }
        auto overview = look_over_device(image.device);
        if (!overview) {
            known.guard = overview.error().guard;
            return refuse_target(exit_refused, overview.error().message);
        }
        auto const cls = image.profile.value_or(detect_storage_class(image.device).cls);
        m_console.print(overwrite_text(
            *overview, cls, torrent.packed ? packed_text(*torrent.packed) : "  " + image_text(torrent) + "\n"));
        print_wiped(torrent);
        m_receipt.overview = std::move(*overview);
        if (auto const checked = check_block_device(image.device, requirements_of(image, torrent)); !checked) {
            known.guard = checked.error().guard;
            return refuse_target(exit_refused, checked.error().message);
        }
        return exit_ok;
    }

    /// Plans how a packed image is placed on the device, and checks everything that could fail after the first write.
    exit_code plan() {
        auto const& packed = m_torrent->packed;
        if (!packed) {
            return m_options.grow || m_options.new_ids || m_options.discard
                       ? refuse_target(exit_refused,
                                       m_torrent->name +
                                           " is a raw image: --grow, --new-ids and --discard are for packed images")
                       : exit_ok;
        }
        auto planned =
            packed_plan::make(*packed, m_options.image.device, {m_options.grow, m_options.new_ids, m_options.discard});
        if (!planned) {
            auto const& [cause, reason] = planned.error();
            return refuse_target(cause == packed_plan_failure::cause::image ? exit_bad_torrent : exit_refused, reason);
        }
        for (auto const& note : planned->notes()) {
            m_console.print(printable(note));
        }
        m_plan = std::make_shared<packed_plan const>(std::move(*planned));
        return exit_ok;
    }

    /// Lists the signatures outside the image that will be erased. Does not refuse a device that cannot be probed.
    void print_wiped(image_torrent const& torrent) {
        if (!m_options.image.wipe_signatures) {
            return;
        }
        auto const extents = torrent.packed ? torrent.packed->index.extents() : torrent.extents;
        auto const signatures = find_signatures(m_options.image.device);
        if (!extents) {
            return; // refused when the image is opened
        }
        auto const all = signatures.value_or(std::vector<disk_signature>{});
        auto const replaces_all = torrent.packed && torrent.packed->description.layout;
        std::string list;
        for (auto const& signature : replaces_all ? all : to_wipe(all, *extents)) {
            list += "  " + printable(describe(signature)) + '\n';
        }
        if (!list.empty()) {
            m_console.print("and these signatures of earlier content will be erased\n\n" + list);
        }
    }

    exit_code ask() {
        if (m_options.yes) {
            return exit_ok;
        }
        auto const confirmed = confirm_overwrite(m_options.image.device, m_shown);
        return confirmed ? exit_ok : refuse_target(confirmed.error().code, confirmed.error().message);
    }

    deploy_options m_options;
    std::optional<device_identity> m_shown; ///< empty if the device cannot be identified
    settings const m_settings;
    std::optional<image_torrent> m_torrent;    ///< after it has been loaded
    std::optional<memory_file> m_torrent_file; ///< its file, if it came from a server or standard input
    std::shared_ptr<packed_plan const> m_plan; ///< of a packed image
    console m_console;
    receipt m_receipt;
};

} // namespace

int deploy_command(std::vector<std::string> const& arguments) {
    auto options = parse_deploy_options(arguments);
    if (!options) {
        return fail_usage("deploy", options.error().message);
    }
    if (options->help) {
        return show_help(deploy_help());
    }
    auto in_force = settings_from(options->config);
    if (!in_force) {
        return exit_usage;
    }
    apply_network(*options, in_force->network);
    if (!options->receipt.empty()) {
        if (auto const checked = check_output(
                options->receipt, true, {options->image.device, options->source.name(), in_force->network.secret_file});
            !checked) {
            return fail("deploy", exit_usage, "--receipt " + checked.error().message);
        }
    }
    if (auto const secret = load_secret(in_force->network); !secret) {
        return fail("deploy", exit_usage, secret.error().message);
    }
    return deploy_run(std::move(*options), std::move(*in_force)).run();
}

} // namespace seedbed
