# For Windows without PowerShell 4.0: nothing newer than PowerShell 2.0 and .NET 2.0 below.

$Transcribing = $false
$File = Join-Path -Path $env:temp -ChildPath 'agent.msi'

function Stop-Deployment([int]$Code, [string[]]$Lines) {
    foreach ($line in $Lines) {
        if ($line) { Write-Line $line }
    }
    if (Test-Path -Path $File) {
        Remove-Item -Path $File -Force -ErrorAction SilentlyContinue
    }
    if ($script:Transcribing) {
        Stop-Transcript | Out-Null
    }
    exit $Code
}

function Start-Log {
    $identity = [Security.Principal.WindowsIdentity]::GetCurrent()
    $principal = New-Object -TypeName Security.Principal.WindowsPrincipal -ArgumentList $identity
    if (-not $principal.IsInRole([Security.Principal.WindowsBuiltInRole]::Administrator)) {
        Stop-Deployment 10 @('This script installs software and must run as an administrator; nothing was done.')
    }
    $script:Logs = Join-Path -Path $env:appdata -ChildPath 'Plimsoll\installer'
    New-Item -Path $script:Logs -ItemType Directory -Force | Out-Null
    try {
        Start-Transcript -Path (Join-Path -Path $script:Logs -ChildPath 'dsa_deploy.log') -Append | Out-Null
        $script:Transcribing = $true
    } catch {
        Write-Line 'There is no transcript here.'
    }
}

function Get-Package {
    $address = "$BaseUrl/$PackageFile"
    Write-Line "Download begins: $address"
    $client = New-Object -TypeName Net.WebClient
    try {
        $client.DownloadFile($address, $File)
    } catch {
        Stop-Deployment 29 @(
            "The download failed: $($_.Exception.Message); nothing was installed.",
            "Is the web server running, and the package there under the name $($PackageFile)? plimsoll software export writes it.")
    }
    Write-Line 'Download ended'
    # The rule of this workaround: an empty file ends it with 1.
    if (-not (Test-Path -Path $File) -or (Get-Item -Path $File).Length -eq 0) {
        Stop-Deployment 1 @("The file at $address is empty; nothing was installed.", 'Put the package there again, and look that it is whole.')
    }
    Write-Line ('Its size: {0} bytes' -f (Get-Item -Path $File).Length)
}

function Test-Package {
    if (-not $Sha256) {
        Write-Line 'WARNING: THE PACKAGE IS NOT CHECKED: whoever made this script left its digest out.'
        return
    }
    $hash = New-Object -TypeName Security.Cryptography.SHA256Managed
    $stream = [IO.File]::OpenRead($File)
    $bytes = $hash.ComputeHash($stream)
    $stream.Close()
    $found = [BitConverter]::ToString($bytes).Replace('-', '').ToLower()
    if ($found -ne $Sha256) {
        Stop-Deployment 31 @(
            'The package is not the one that this script was made for; it was deleted, and nothing was installed.',
            "Its SHA-256 is $found, expected is $Sha256.",
            "This script is for agent $AgentVersion for $Platform. Put that package there, or make a new script.")
    }
    Write-Line 'The package is the one that this script was made for (SHA-256).'
}

function Install-Package {
    $log = Join-Path -Path $script:Logs -ChildPath 'dsa_install.log'
    Write-Line 'Installation begins'
    $arguments = '/i "{0}" /qn /norestart ADDLOCAL=ALL /l*v "{1}"' -f $File, $log
    $installer = Start-Process -FilePath msiexec.exe -ArgumentList $arguments -Wait -PassThru
    Write-Line "Installation ended with exit code $($installer.ExitCode)"
    # 1641 and 3010: installed, and Windows wants to be started anew.
    if (@(0, 1641, 3010) -notcontains $installer.ExitCode) {
        Stop-Deployment 40 @("msiexec could not install the package; $log says why.")
    }
}

try {
    Start-Log
    Get-Package
    Test-Package
    Install-Package
    Invoke-Activation
} catch {
    Stop-Deployment 90 @("This script failed: $($_.Exception.Message)")
}
Stop-Deployment 0 @('Done.')
